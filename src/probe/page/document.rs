//! What an HTML page says: its title, its form fields, where it refreshes to, and its visible text.

use html5gum::{DefaultEmitter, SpanBound, StartTag, Token, Tokenizer};

use super::refresh::{self, Refresh};
use crate::probe::bounded;

const MAX_FIELDS: usize = 64;

/// Elements that are part of a line of text. Any other separates words.
const INLINE: [&[u8]; 30] = [
    b"a", b"abbr", b"b", b"bdi", b"bdo", b"big", b"cite", b"code", b"del", b"dfn", b"em", b"font",
    b"i", b"ins", b"kbd", b"label", b"mark", b"nobr", b"q", b"s", b"samp", b"small", b"span",
    b"strike", b"strong", b"sub", b"sup", b"tt", b"u", b"wbr",
];
/// Elements whose content is not shown.
const HIDDEN: [&[u8]; 6] = [
    b"script",
    b"style",
    b"template",
    b"noscript",
    b"title",
    b"iframe",
];

#[derive(Default)]
pub(super) struct Document {
    /// White space collapsed.
    pub title: Option<String>,
    /// The names of the form fields in their order.
    pub form_fields: Vec<String>,
    pub refresh: Option<Refresh>,
}

impl Document {
    pub fn parse(html: &str) -> Self {
        let mut document = Self::default();
        let mut title: Option<String> = None;
        let mut in_title = false;
        let mut in_noscript = false;
        for token in tokens(html) {
            match token {
                Token::StartTag(tag) => {
                    in_title = title.is_none() && *tag.name == b"title";
                    if in_title {
                        title = Some(String::new());
                    }
                    in_noscript |= *tag.name == b"noscript";
                    if *tag.name == b"meta" && !in_noscript && document.refresh.is_none() {
                        document.refresh = meta_refresh(&tag);
                    }
                    document.add_field(&tag);
                }
                Token::String(text) if in_title => {
                    if let Some(title) = &mut title {
                        title.push_str(&String::from_utf8_lossy(&text));
                    }
                }
                Token::EndTag(tag) => {
                    in_title = false;
                    in_noscript &= *tag.name != b"noscript";
                }
                _ => {}
            }
        }
        document.title = title.map(|title| bounded(&collapsed(&title)));
        document
    }

    fn add_field<S: SpanBound>(&mut self, tag: &StartTag<S>) {
        if !matches!(&**tag.name, b"input" | b"select" | b"textarea" | b"button") {
            return;
        }
        if let Some(name) = attribute(tag, b"name").filter(|name| !name.is_empty()) {
            let name = bounded(&name);
            if self.form_fields.len() < MAX_FIELDS && !self.form_fields.contains(&name) {
                self.form_fields.push(name);
            }
        }
    }
}

/// The text that the page shows, without style sheets and scripts applied: entities decoded, white
/// space collapsed, and no break where only an inline element begins or ends.
pub(super) fn visible_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut hidden: Option<Vec<u8>> = None;
    for token in tokens(html) {
        match (token, &hidden) {
            (Token::StartTag(tag), None) => {
                if !INLINE.contains(&&**tag.name) {
                    text.push(' ');
                }
                if HIDDEN.contains(&&**tag.name) {
                    hidden = Some(tag.name.to_vec());
                }
            }
            (Token::EndTag(tag), None) if !INLINE.contains(&&**tag.name) => text.push(' '),
            (Token::EndTag(tag), Some(name)) if **tag.name == **name => {
                hidden = None;
                text.push(' ');
            }
            (Token::String(part), None) => text.push_str(&String::from_utf8_lossy(&part)),
            _ => {}
        }
    }
    // Characters without a width: soft hyphen, zero-width space, byte order mark.
    text.retain(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{feff}'));
    collapsed(&text)
}

fn tokens(html: &str) -> impl Iterator<Item = Token> {
    let mut emitter = DefaultEmitter::default();
    // The content of scripts and styles is not markup.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).map(|token| {
        let Ok(token) = token;
        token
    })
}

fn meta_refresh<S: SpanBound>(tag: &StartTag<S>) -> Option<Refresh> {
    let kind = attribute(tag, b"http-equiv")?;
    let content = attribute(tag, b"content")?;
    kind.eq_ignore_ascii_case("refresh")
        .then(|| refresh::parse(&content))
        .flatten()
}

fn attribute<S: SpanBound>(tag: &StartTag<S>, name: &[u8]) -> Option<String> {
    let value = tag.attributes.get(name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// `text` with every run of white space as one space, no-break spaces included.
pub(super) fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_is_what_a_reader_sees() {
        for (html, expected) in [
            ("<p>User&nbsp;ID</p>", "User ID"),
            ("Sign&#32;<b>i</b>n <i>here</i>", "Sign in here"),
            ("<p>one</p><p>two</p>", "one two"),
            ("one<br>two", "one two"),
            ("A &amp; B &lt;C&gt;", "A & B <C>"),
            ("a<script>b</script><style>c</style>d", "a d"),
            ("<title>t</title><body>x<!-- y -->z", "xz"),
            ("pass\u{ad}word", "password"),
            ("<noscript>Enable <b>scripts</b></noscript>go", "go"),
            ("  a \n\t b ", "a b"),
        ] {
            assert_eq!(visible_text(html), expected, "{html}");
        }
    }
}
