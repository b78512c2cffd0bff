//! Access: who may ask, and how often; what of the web configuration is judged request by request.
//!
//! As in Prometheus's exporter-toolkit: the rate comes first, then the password. A name that nobody
//! has costs as much as a wrong password, hashing keeps off the tasks that serve, one at a time, and
//! its verdicts are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clock::monotonic_now;
use crate::config::{RateLimit, WebConfig};

/// Verdicts that are kept; each is of one name, hash and password.
const MAX_CACHED_RESULTS: usize = 256;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// 429
    RateLimited,
    /// 401
    Unauthorized,
}

/// What is kept between requests.
pub struct Auth {
    bucket: Mutex<Bucket>,
    cache: Mutex<HashMap<[u8; 32], bool>>,
    hashing: Semaphore,
}

/// The tokens that are left.
struct Bucket {
    limit: Option<RateLimit>,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self, limit: Option<RateLimit>, now: Instant) -> bool {
        let Some(rate) = limit else { return true };
        let most = f64::from(rate.burst);
        if self.limit != limit {
            (self.limit, self.tokens, self.filled) = (limit, most, now);
        }
        let passed = now.saturating_duration_since(self.filled);
        self.tokens = (self.tokens + share(passed, rate.interval)).min(most);
        self.filled = now;
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

fn share(passed: Duration, interval: Duration) -> f64 {
    passed.as_secs_f64() / interval.as_secs_f64()
}

impl Auth {
    pub fn new() -> Self {
        Self {
            bucket: Mutex::new(Bucket {
                limit: None,
                tokens: 0.0,
                filled: monotonic_now(),
            }),
            cache: Mutex::default(),
            hashing: Semaphore::new(1),
        }
    }

    /// Judges one request.
    ///
    /// # Errors
    /// Why it is not answered.
    pub async fn authorize(&self, web: &WebConfig, headers: &HeaderMap) -> Result<(), AuthError> {
        if !self.within_rate_limit(web) {
            return Err(AuthError::RateLimited);
        }
        // Any user's hash makes somebody unknown cost as much.
        let Some(fallback_hash) = web.users.values().next() else {
            return Ok(());
        };
        let (name, password) = credentials(headers).ok_or(AuthError::Unauthorized)?;
        let hash = web.users.get(&name).map(String::as_str);
        let is_right = self
            .verify(&name, password, hash.unwrap_or(fallback_hash))
            .await;
        if is_right && hash.is_some() {
            Ok(())
        } else {
            Err(AuthError::Unauthorized)
        }
    }

    fn within_rate_limit(&self, web: &WebConfig) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(web.rate_limit, monotonic_now())
    }

    async fn verify(&self, name: &str, password: Vec<u8>, hash: &str) -> bool {
        let key = key(name, &password, hash);
        let known = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        if let Some(is_right) = known {
            return is_right;
        }
        let Ok(_one) = self.hashing.acquire().await else {
            return false;
        };
        let hash = hash.to_owned();
        let hashed = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        let is_right = matches!(hashed.await, Ok(Ok(true)));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED_RESULTS {
            // Who guesses does not push out who knows.
            cache.retain(|_, is_right| *is_right);
        }
        if cache.len() >= MAX_CACHED_RESULTS {
            cache.clear();
        }
        cache.insert(key, is_right);
        is_right
    }
}

fn key(name: &str, password: &[u8], hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [name.as_bytes(), password, hash.as_bytes()] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// RFC 7617.
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
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_one_an_interval() {
        let start = monotonic_now();
        let limit = Some(RateLimit {
            interval: Duration::from_secs(2),
            burst: 3,
        });
        let mut bucket = Bucket {
            limit: None,
            tokens: 0.0,
            filled: start,
        };
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
