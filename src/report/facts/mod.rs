//! The facts of each layer. Plain values: bounded, serializable, and kept whether the layer failed
//! or not.

mod connection;
mod dns;
mod response;
mod tls;

pub use connection::{AddressAttempt, AddressFamily, ProxyAttempt, ProxyFacts, TcpFacts};
pub use dns::{DnsFacts, Lookup, QueryType, Resolution};
pub use response::{AnsweredBy, HttpFacts, NotProcessed, PageCheck, PageFacts};
pub use tls::{
    Certificate, FetchedCertificate, Handshake, Interception, OutsideDates, RootSet, TlsFacts,
    Trust,
};
