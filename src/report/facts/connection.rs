//! The facts of the tcp and proxy layers.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use strum::IntoStaticStr;

use crate::report::{Reason, seconds};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[strum(const_into_str)]
pub enum AddressFamily {
    #[serde(rename = "4")]
    #[strum(serialize = "4")]
    V4,
    #[serde(rename = "6")]
    #[strum(serialize = "6")]
    V6,
}

impl AddressFamily {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// The connections to every address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TcpFacts {
    pub port: u16,
    pub addresses: Vec<AddressAttempt>,
    /// Resolved addresses beyond the bound, which nothing connected to.
    #[serde(skip_serializing_if = "is_zero")]
    pub addresses_skipped: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One connection.
#[derive(Clone, Debug, Serialize)]
pub struct AddressAttempt {
    pub address: IpAddr,
    /// The address of this host that the system connects from, before any translation on the path;
    /// absent if there is no route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// This host has no route for the address family and never had one: nothing was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_tried: bool,
}

/// The tunnels through a web proxy, one on each of its addresses that connected.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProxyFacts {
    /// The proxy as configured, without credentials. It resolves the target's name.
    pub proxy: String,
    pub attempts: Vec<ProxyAttempt>,
}

/// One tunnel.
#[derive(Clone, Debug, Serialize)]
pub struct ProxyAttempt {
    pub address: IpAddr,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// The status that the proxy answered instead of opening a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The authentication schemes that the proxy offers: Basic, NTLM, Negotiate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_schemes: Vec<String>,
}
