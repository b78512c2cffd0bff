//! Every fault of the lab, layer by layer.
//!
//! These are plain values: `name_server`, `login_server` and `proxy_server` implement them, and
//! `scenarios` lists the reason of the exporter that each one provokes.

use std::net::IpAddr;
use std::time::Duration;

/// A fault of the name server. `NameServer::close` closes its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFault {
    NxDomain,
    NoData,
    ServFail,
    Refused,
    Silent,
    /// The right ID, followed by bytes that do not parse.
    Malformed,
    /// A valid answer with the wrong ID.
    WrongId,
    /// Truncated over UDP, complete over TCP.
    Truncated,
    /// Truncated over UDP, and the TCP port is closed.
    TruncatedTcpClosed,
    /// These addresses for every name.
    Answer(Vec<IpAddr>),
    /// A valid answer after a delay.
    Slow(Duration),
    /// Drops every n-th question and answers the others; 1 drops all.
    DropEvery(u64),
    /// Over HTTPS this status instead of an answer; valid answers over other transports.
    HttpStatus(u16),
}

/// A fault of the web proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// Requires the credentials `clerk:lab-secret`, and offers these authentication schemes.
    WantCredentials(&'static [&'static str]),
    /// Forbidden by its rules: 403 with its own page.
    Forbid,
    /// The server is unreachable from the proxy: 502.
    Unavailable,
    /// 200, and then its own page instead of a tunnel.
    OwnPage,
    /// Sends neither HTTP nor SOCKS.
    Garbage,
    Close,
    Silent,
}

/// A fault of the login server.
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
    /// Accepts, then resets the connection.
    ResetOnAccept,
    /// Accepts, reads, and never sends anything.
    AcceptAndSayNothing,
    /// Accepts, then closes the connection in order.
    CloseOnAccept,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Answers the ClientHello with `HTTP/1.1 400` in plain text.
    PlainHttp,
    /// Answers the ClientHello with bytes of no known protocol.
    Garbage,
    /// The answer of a TLS 1.0 server that reads supported_versions: the alert protocol_version in
    /// a TLS 1.0 record.
    Tls10Only,
    /// The answer of an older TLS 1.0 server: a ServerHello of TLS 1.0.
    Tls10Hello,
    /// A fatal alert with this description.
    Alert(u8),
    ResetAfterHello,
    CloseAfterHello,
    SilentAfterHello,
    /// Silent if the ClientHello is larger than 1400 bytes, healthy otherwise.
    DropLargeHello,
    /// A TCP reset if the ClientHello is larger than 1400 bytes, healthy otherwise.
    ResetLargeHello,
    Tls12Only,
    /// Requests a client certificate and accepts none. In TLS 1.3 the client sees the refusal only
    /// when it reads, after its handshake is complete (RFC 8446, 4.4.2.4).
    RequireClientCertificate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFault {
    Status(u16),
    StatusWith(u16, Vec<(String, String)>),
    Redirect(u16, String),
    /// Between two pages, forever.
    RedirectLoop,
    /// This many redirects, each to another page, then the login page.
    RedirectChain(u32),
    SilentAfterRequest,
    ResetAfterRequest,
    CloseAfterRequest,
    /// The banner of another protocol.
    Malformed,
    /// Headers of 4 MiB.
    HeaderBomb,
    /// Half an answer, then a fatal TLS alert.
    AlertAfterHead,
    /// Half an answer, then a TCP reset.
    ResetAfterHead,
    /// Over HTTP/2, so many requests are not processed, and the server says so; then it is healthy.
    NotProcessed(NotProcessed, usize),
    /// Over HTTP/2, so many requests are refused, on a connection that goes on.
    RefuseStreams(usize),
    /// A valid response whose Date header is off by this many seconds.
    DateSkew(i64),
    /// A valid response after a delay.
    Slow(Duration),
    /// Sets a cookie and redirects to the same URL; with the cookie, serves the login page.
    CookieGate,
}

/// How a server says that it did not process a request (RFC 9113, 8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProcessed {
    Goaway,
    Http11Required,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// This answer to a request without a query; with one, the login page.
    Custom {
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// This text as an HTML page.
    Text(String),
    Empty,
    /// A web filter's page with status 200.
    BlockPage,
    /// A body of this many bytes, with Content-Length.
    TooLarge(u64),
    /// The same without Content-Length.
    TooLargeUnannounced(u64),
    /// The connection ends before Content-Length bytes are sent.
    CutShort,
    /// The connection ends inside a chunk.
    ChunkedCutShort,
    /// One byte per second, forever.
    Endless,
    /// 16 MiB once decoded, a few KiB on the wire.
    GzipBomb,
    /// The login page in this encoding, even if the client does not accept it.
    Encoded(Encoding),
    /// The login page in chunked transfer encoding.
    Chunked,
    /// The login page, delimited by the end of the connection.
    NoContentLength,
}

/// A content encoding.
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
