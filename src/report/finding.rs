//! The closed set of findings: what a person should know, but what does not stop a login.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that holds while the login may well work. It never fails a probe by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    Intercepted,
    PinMismatch,
    UnexpectedIssuer,
    AddressFailed,
    ResolverFailed,
    ResolversDisagree,
    UnexpectedAddress,
    ClockSkew,
    PlatformRootsMissing,
    CertificateWeak,
}

impl Finding {
    /// Every finding, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Intercepted,
        Self::PinMismatch,
        Self::UnexpectedIssuer,
        Self::AddressFailed,
        Self::ResolverFailed,
        Self::ResolversDisagree,
        Self::UnexpectedAddress,
        Self::ClockSkew,
        Self::PlatformRootsMissing,
        Self::CertificateWeak,
    ];

    /// The value of the `finding` label, the JSON value and the heading in `docs/reasons.md`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Intercepted => "intercepted",
            Self::PinMismatch => "pin_mismatch",
            Self::UnexpectedIssuer => "unexpected_issuer",
            Self::AddressFailed => "address_failed",
            Self::ResolverFailed => "resolver_failed",
            Self::ResolversDisagree => "resolvers_disagree",
            Self::UnexpectedAddress => "unexpected_address",
            Self::ClockSkew => "clock_skew",
            Self::PlatformRootsMissing => "platform_roots_missing",
            Self::CertificateWeak => "certificate_weak",
        }
    }
}

/// The list above cannot lag behind the enum.
const _: () = assert!(Finding::ALL.len() == Finding::CertificateWeak as usize + 1);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Finding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|finding| finding.code() == code);
        known.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&code), &"a finding's code"))
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A finding with what was seen, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub finding: Finding,
    /// What was seen, for a person; bounded, never a metric label.
    pub detail: String,
}
