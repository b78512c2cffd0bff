//! The pages of the login server, and their content encodings.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::faults::Encoding;

/// The title of the login page.
pub const TITLE: &str = "CCASS Lab Login";

/// The decoded size of the gzip bomb, in bytes.
pub const BOMB_SIZE: u64 = 16 * MIB as u64;

const MIB: usize = 1024 * 1024;

/// The login page; `token` is the value of the hidden field.
pub fn login(token: &str) -> Bytes {
    Bytes::from(format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<style>body {{ font-family: sans-serif; margin: 4em auto; max-width: 24em }}</style>
</head>
<body>
<h1>Sign in</h1>
<form id="login" method="post" action="/sso/login" autocomplete="off">
<input type="hidden" name="csrf_token" value="{token}">
<p><label for="username">User ID</label> <input id="username" name="username" type="text" required></p>
<p><label for="password">Password</label> <input id="password" name="password" type="password" required></p>
<p><button type="submit">Log on</button></p>
</form>
<p>A one-time code will be sent to your registered e-mail address.</p>
</body>
</html>
"#
    ))
}

/// The page of a web filter that blocks the login page.
pub(crate) fn block() -> Bytes {
    Bytes::from_static(
        br#"<!DOCTYPE html>
<html>
<head><title>Web Page Blocked</title></head>
<body>
<h1>Web Page Blocked!</h1>
<p>Access Denied. The page you have requested has been blocked by your organization's web
filter policy, because the URL is in a category that is not allowed.</p>
<table>
<tr><td>URL</td><td>sso.lab.test/sso</td></tr>
<tr><td>Category</td><td>Uncategorized</td></tr>
</table>
<p>If you believe this is an error, please contact your network administrator.</p>
</body>
</html>
"#,
    )
}

/// The page for every path except the login page's.
pub(crate) fn not_found() -> Bytes {
    Bytes::from_static(
        b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n",
    )
}

/// The page for a status other than 200.
pub(crate) fn status(code: u16) -> Bytes {
    Bytes::from(format!(
        "<!DOCTYPE html>\n<html><head><title>{code}</title></head><body><h1>Status {code}</h1></body></html>\n"
    ))
}

/// Encodes `page`. Brotli is limited to 64 KiB, far more than a page.
pub(crate) fn encode(page: &[u8], encoding: Encoding) -> Bytes {
    let encoded = match encoding {
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(page).and_then(|()| encoder.finish())
        }
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(page).and_then(|()| encoder.finish())
        }
        Encoding::Brotli => Ok(stored_brotli(page)),
    };
    Bytes::from(encoded.expect("compression into memory does not fail"))
}

/// A gzip file of `BOMB_SIZE` zeros: one compressed MiB, repeated.
pub(crate) fn gzip_bomb() -> Bytes {
    let zeros = vec![0; MIB];
    let block = full_block(&zeros);
    let mut one = Crc::new();
    one.update(&zeros);
    let mut all = Crc::new();
    // RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..BOMB_SIZE / MIB as u64 {
        file.extend_from_slice(&block);
        all.combine(&one);
    }
    // RFC 1951: an empty final block.
    file.extend_from_slice(&[0x03, 0x00]);
    file.extend_from_slice(&all.sum().to_le_bytes());
    file.extend_from_slice(&all.amount().to_le_bytes());
    Bytes::from(file)
}

/// `bytes` as deflate blocks that end on a byte boundary and do not refer to earlier data.
fn full_block(bytes: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut block = Vec::with_capacity(bytes.len());
    let status = compress.compress_vec(bytes, &mut block, FlushCompress::Full);
    assert!(
        matches!(status, Ok(Status::Ok)) && compress.total_in() == bytes.len() as u64,
        "the compressed form fits into a buffer of the input's size"
    );
    block
}

/// Brotli (RFC 7932) without compression: a window of 64 KiB, one uncompressed meta-block, and an
/// empty last one.
fn stored_brotli(page: &[u8]) -> Vec<u8> {
    assert!(
        (1..=65_536).contains(&page.len()),
        "a page fits into one meta-block"
    );
    let header = ((page.len() - 1) << 4) | (1 << 20);
    let mut bytes = header.to_le_bytes()[..3].to_vec();
    bytes.extend_from_slice(page);
    bytes.push(0x03);
    bytes
}
