//! From bytes to text as the Encoding and HTML standards say: the byte order mark, else the charset
//! of Content-Type, else the declaration in the first 1,024 bytes.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use html5gum::{StartTag, Token, Tokenizer};

/// How far into the page a declaration is looked for (HTML, 13.2.3.2).
const PRESCAN: usize = 1024;

/// The text of `body`, and its encoding.
pub(super) fn decode<'a>(
    body: &'a [u8],
    content_type: Option<&str>,
) -> (Cow<'a, str>, &'static Encoding) {
    let (encoding, body) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (encoding, body.get(length..).unwrap_or_default()),
        None => {
            let declared = content_type.and_then(charset_parameter);
            let declared = declared.or_else(|| declaration(body));
            (declared.unwrap_or_else(|| guess(body)), body)
        }
    };
    (encoding.decode_without_bom_handling(body).0, encoding)
}

/// The `charset` of a media type.
fn charset_parameter(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        Encoding::for_label(value.trim().trim_matches(['"', '\'']).as_bytes())
            .filter(|_| is_charset)
    })
}

/// Without any declaration: UTF-8 if it is, else the web's default.
fn guess(body: &[u8]) -> &'static Encoding {
    match std::str::from_utf8(body) {
        Ok(_) => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

/// What `<meta charset>` or `<meta http-equiv="content-type">` says.
fn declaration(body: &[u8]) -> Option<&'static Encoding> {
    let head = body.get(..PRESCAN.min(body.len()))?;
    // Declarations are in ASCII, whatever the rest is.
    let (head, _) = WINDOWS_1252.decode_without_bom_handling(head);
    let declared = Tokenizer::new(&*head).find_map(|token| match token {
        Ok(Token::StartTag(tag)) if *tag.name == b"meta" => of_meta(&tag),
        _ => None,
    })?;
    // A declaration that can be read as ASCII is not in UTF-16.
    if declared == UTF_16BE || declared == UTF_16LE {
        Some(UTF_8)
    } else if declared == X_USER_DEFINED {
        Some(WINDOWS_1252)
    } else {
        Some(declared)
    }
}

fn of_meta<S: html5gum::SpanBound>(tag: &StartTag<S>) -> Option<&'static Encoding> {
    let attribute = |name: &[u8]| {
        let value = tag.attributes.get(name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    if let Some(label) = attribute(b"charset") {
        return Encoding::for_label(label.as_bytes());
    }
    let is_content_type = attribute(b"http-equiv")
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("content-type"));
    let content = attribute(b"content").filter(|_| is_content_type)?;
    charset_parameter(&content)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, GB18030, SHIFT_JIS};

    use super::*;

    #[test]
    fn the_byte_order_mark_comes_before_the_header_and_that_before_the_declaration() {
        let meta = "<meta charset=big5>";
        let equivalent = "<meta http-equiv='Content-Type' content='text/html; charset=gb18030'>";
        let late = format!("{}{meta}", " ".repeat(PRESCAN));
        for (header, body, expected) in [
            (None, "\u{feff}x".to_owned(), UTF_8),
            (
                Some("text/html; charset=big5"),
                "\u{feff}x".to_owned(),
                UTF_8,
            ),
            (
                Some("text/html;charset=\"Shift_JIS\""),
                meta.to_owned(),
                SHIFT_JIS,
            ),
            (Some("text/html; charset=nonsense"), meta.to_owned(), BIG5),
            (Some("text/html"), meta.to_owned(), BIG5),
            (None, equivalent.to_owned(), GB18030),
            (None, format!("<!-- {meta} -->"), UTF_8),
            (None, "<meta charset=utf-16>".to_owned(), UTF_8),
            (None, late, UTF_8),
        ] {
            let (_, encoding) = decode(body.as_bytes(), header);
            assert_eq!(encoding, expected, "{header:?} {body}");
        }
        assert_eq!(decode(b"\xe9", None), ("é".into(), WINDOWS_1252));
        assert_eq!(decode(b"\xff\xfea\0", None), ("a".into(), UTF_16LE));
    }
}
