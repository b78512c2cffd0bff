//! The closed set of reasons why `/probe` rejects a request.

use strum::{IntoStaticStr, VariantArray};

/// A rejected request sends nothing to the network, except that a name must be resolved before its
/// address can be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RejectReason {
    UnknownModule,
    /// A name that no configured target has.
    UnknownTarget,
    /// The scrape timeout header is not a number of seconds.
    TimeLimit,
    MissingTarget,
    /// An unknown parameter, which could change what is probed.
    Parameter,
    /// The target is not an address.
    Malformed,
    /// The scheme is not https.
    Scheme,
    /// The address contains credentials.
    Credentials,
    /// Neither a configured target nor an allowed host.
    Host,
    /// An allowed host, on a port that is not allowed.
    Port,
    /// The name resolves to a loopback, link-local or multicast address that is not listed.
    Address,
    /// Too many probes are in progress.
    Busy,
}

impl RejectReason {
    pub const ALL: &[Self] = Self::VARIANTS;
}
