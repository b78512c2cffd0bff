//! The closed set of findings: what the operator should know although it does not stop a login.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// A condition under which the login may still work. It never fails a probe by itself.
#[derive(
    Clone,
    Copy,
    Debug,
    Display,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[serde(rename_all = "snake_case")]
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
    IncompleteChain,
    RequestRepeated,
    BrowserDiffers,
}

impl Finding {
    /// Every finding.
    pub const ALL: &[Self] = Self::VARIANTS;
}

/// A finding of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub finding: Finding,
    /// What was observed, in words; bounded, never a metric label.
    pub detail: String,
}
