//! Every way in which the lab misbehaves, layer by layer.
//!
//! Plain values: what each does on the wire is in `name_server`, `login_server` and the files
//! below them; which reason of the exporter each shows is the table in `scenarios`.

use std::net::IpAddr;
use std::time::Duration;

/// How a name server misbehaves. A closed port is `NameServer::close`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFault {
    NxDomain,
    NoData,
    ServFail,
    Refused,
    Silent,
    /// The right identifier before bytes that are no message.
    Malformed,
    /// A good answer to a question that was not asked.
    WrongId,
    /// Truncated over UDP, whole over TCP.
    Truncated,
    /// Truncated over UDP, and the TCP port is closed.
    TruncatedTcpClosed,
    /// These addresses, whatever the name.
    Answer(Vec<IpAddr>),
    /// A good answer, late.
    Slow(Duration),
    /// Every n-th question is lost, the others are answered well; 1 loses all.
    DropEvery(u64),
    /// Over HTTPS this status in place of an answer; over all else a good answer.
    HttpStatus(u16),
}

/// How a web proxy misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// Basic credentials are wanted, `clerk:lab-secret`; these ways to prove oneself are offered.
    WantCredentials(&'static [&'static str]),
    /// Its rules do not allow it: 403 with a page of its own.
    Forbid,
    /// It cannot reach the server: 502.
    Unavailable,
    /// 200, and then a page of its own instead of a tunnel.
    OwnPage,
    /// What it says is no HTTP and no SOCKS.
    Garbage,
    Close,
    Silent,
}

/// How a login server misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Tcp(TcpFault),
    Tls(TlsFault),
    Http(HttpFault),
    Page(PageFault),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpFault {
    /// Nothing listens on the port, which stays reserved.
    Refuse,
    /// Accepts, then a TCP reset.
    ResetOnAccept,
    /// Accepts, reads, never answers.
    AcceptAndSayNothing,
    /// Accepts, then an orderly end.
    CloseOnAccept,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Answers the ClientHello with `HTTP/1.1 400` in plain text.
    PlainHttp,
    /// Answers the ClientHello with bytes of no protocol.
    Garbage,
    /// What a server answers that knows only TLS 1.0 and reads supported_versions: the alert
    /// protocol_version in a TLS 1.0 record.
    Tls10Only,
    /// What an older one answers that does not: a ServerHello of TLS 1.0.
    Tls10Hello,
    /// A fatal alert with this description.
    Alert(u8),
    ResetAfterHello,
    CloseAfterHello,
    SilentAfterHello,
    /// Silent if the ClientHello is larger than 1400 bytes, good otherwise.
    DropLargeHello,
    /// A TCP reset if the ClientHello is larger than 1400 bytes, good otherwise.
    ResetLargeHello,
    Tls12Only,
    /// Asks for a client certificate and accepts none. In TLS 1.3 the client sees the refusal
    /// only when it reads, after its handshake is done (RFC 8446, 4.4.2.4).
    RequireClientCertificate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFault {
    Status(u16),
    StatusWith(u16, Vec<(String, String)>),
    Redirect(u16, String),
    /// Between two pages, for ever.
    RedirectLoop,
    /// So many redirects to pages that differ, then the login page.
    RedirectChain(u32),
    SilentAfterRequest,
    ResetAfterRequest,
    CloseAfterRequest,
    /// An answer of another protocol.
    Malformed,
    /// Headers of 4 MiB.
    HeaderBomb,
    /// The Date header is off by so many seconds; the rest is good.
    DateSkew(i64),
    /// Waits before a good answer.
    Slow(Duration),
    /// Sets a cookie and redirects to the same address; with the cookie, the login page.
    CookieGate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// This text as an HTML page.
    Text(String),
    Empty,
    /// A web filter's page with status 200.
    BlockPage,
    /// A body of so many bytes, announced by its Content-Length.
    TooLarge(u64),
    /// The same without an announcement.
    TooLargeUnannounced(u64),
    /// Content-Length says more than is sent before the connection ends.
    CutShort,
    /// The connection ends inside a chunk.
    ChunkedCutShort,
    /// One byte a second, for ever.
    Endless,
    /// 16 MiB once decoded, a few KiB on the wire.
    GzipBomb,
    /// The login page in this encoding, asked for or not.
    Encoded(Encoding),
    /// The login page in chunks.
    Chunked,
    /// The login page, ended by the end of the connection.
    NoContentLength,
}

/// A content encoding, named as HTTP does by `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Deflate,
    Brotli,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

impl From<TcpFault> for Fault {
    fn from(fault: TcpFault) -> Self {
        Self::Tcp(fault)
    }
}

impl From<TlsFault> for Fault {
    fn from(fault: TlsFault) -> Self {
        Self::Tls(fault)
    }
}

impl From<HttpFault> for Fault {
    fn from(fault: HttpFault) -> Self {
        Self::Http(fault)
    }
}

impl From<PageFault> for Fault {
    fn from(fault: PageFault) -> Self {
        Self::Page(fault)
    }
}
