//! Authentication and rate limiting of requests, as in Prometheus's exporter-toolkit: the rate limit
//! comes first, then the password.
//!
//! Unknown users are verified against some configured hash, so that timing does not reveal which
//! names exist. bcrypt runs on the blocking pool, one at a time, and its results are cached. Clients
//! wait for it in a queue per network, so that guesses from one network do not delay the others.

use std::net::IpAddr;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::hash_queue::HashQueue;
use super::task::run_blocking;
use crate::bounded_cache::BoundedCache;
use crate::clock::monotonic_now;
use crate::config::{RateLimit, WebConfig};
use crate::lock::lock;

/// Cached bcrypt results.
const MAX_CACHED_RESULTS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// Status 429.
    RateLimited,
    /// Status 401.
    Unauthorized,
}

pub struct Auth {
    bucket: Mutex<Bucket>,
    /// Whether the password is right, by [`cache_key`].
    cache: BoundedCache<[u8; 32], bool>,
    hashing: HashQueue,
}

impl Auth {
    pub fn new() -> Self {
        Self {
            bucket: Mutex::new(Bucket::empty(monotonic_now())),
            // Wrong guesses must not evict the right passwords.
            cache: BoundedCache::keeping(MAX_CACHED_RESULTS, |is_right| *is_right),
            hashing: HashQueue::new(),
        }
    }

    /// Authorizes one request.
    ///
    /// # Errors
    /// Why the request must be refused.
    pub async fn authorize(
        &self,
        web: &WebConfig,
        client: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), AuthError> {
        if !lock(&self.bucket).take(web.rate_limit, monotonic_now()) {
            return Err(AuthError::RateLimited);
        }
        let Some(fallback_hash) = web.users.values().next() else {
            return Ok(());
        };
        let (name, password) = credentials(headers).ok_or(AuthError::Unauthorized)?;
        let user_hash = web.users.get(&name);
        let hash = user_hash.unwrap_or(fallback_hash);
        if self.verify(client, &name, password, hash).await? && user_hash.is_some() {
            Ok(())
        } else {
            Err(AuthError::Unauthorized)
        }
    }

    async fn verify(
        &self,
        client: IpAddr,
        name: &str,
        password: Vec<u8>,
        hash: &str,
    ) -> Result<bool, AuthError> {
        let key = cache_key(name, &password, hash);
        if let Some(is_right) = self.cache.get(&key) {
            return Ok(is_right);
        }
        let _turn = self
            .hashing
            .turn(client)
            .await
            .ok_or(AuthError::RateLimited)?;
        let hash = hash.to_owned();
        let result = run_blocking("bcrypt", move || bcrypt::verify(password, &hash)).await;
        let is_right = matches!(result, Some(Ok(true)));
        self.cache.insert(key, is_right);
        Ok(is_right)
    }
}

/// A token bucket.
struct Bucket {
    limit: Option<RateLimit>,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn empty(now: Instant) -> Self {
        Self {
            limit: None,
            tokens: 0.0,
            filled: now,
        }
    }

    fn take(&mut self, limit: Option<RateLimit>, now: Instant) -> bool {
        let Some(rate) = limit else { return true };
        let capacity = f64::from(rate.burst);
        if self.limit != limit {
            (self.limit, self.tokens, self.filled) = (limit, capacity, now);
        }
        let elapsed = now.saturating_duration_since(self.filled);
        let refill = elapsed.as_secs_f64() / rate.interval.as_secs_f64();
        self.tokens = (self.tokens + refill).min(capacity);
        self.filled = now;
        let is_allowed = self.tokens >= 1.0;
        if is_allowed {
            self.tokens -= 1.0;
        }
        is_allowed
    }
}

fn cache_key(name: &str, password: &[u8], hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [name.as_bytes(), password, hash.as_bytes()] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// User name and password of basic authentication (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, rest) = decoded.split_at(colon);
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((name, rest.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bucket_allows_a_burst_and_then_one_request_per_interval() {
        let start = monotonic_now();
        let limit = Some(RateLimit {
            interval: Duration::from_secs(2),
            burst: 3,
        });
        let mut bucket = Bucket::empty(start);
        let mut at =
            |seconds: f64, limit| bucket.take(limit, start + Duration::from_secs_f64(seconds));
        assert_eq!(
            [0.0; 4].map(|second| at(second, limit)),
            [true, true, true, false]
        );
        assert_eq!(
            [1.0, 2.0, 3.0].map(|second| at(second, limit)),
            [false, true, false]
        );
        assert_eq!(
            [100.0; 4].map(|second| at(second, limit)),
            [true, true, true, false]
        );
        assert!(at(100.0, None));
    }
}
