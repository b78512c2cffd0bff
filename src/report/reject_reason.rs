//! Why `/probe` did not probe: a closed set.

use strum::IntoStaticStr;

/// One cause. A refusal asks nothing of the network, except that an address is known only once its
/// name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RejectReason {
    UnknownModule,
    /// The scraper's time limit is not a number of seconds.
    TimeLimit,
    MissingTarget,
    /// A parameter that is not understood, which would change what is probed.
    Parameter,
    /// The target is not an address.
    Malformed,
    /// Not https.
    Scheme,
    /// Credentials in the address.
    Credentials,
    /// Neither a configured target nor an allowed host.
    Host,
    /// An allowed host, on a port that is not.
    Port,
    /// The name leads to this host, its link or a group, and that address is not listed.
    Address,
    /// Too many probes are under way.
    Busy,
}

impl RejectReason {
    pub const ALL: [Self; 11] = [
        Self::UnknownModule,
        Self::TimeLimit,
        Self::MissingTarget,
        Self::Parameter,
        Self::Malformed,
        Self::Scheme,
        Self::Credentials,
        Self::Host,
        Self::Port,
        Self::Address,
        Self::Busy,
    ];
}
