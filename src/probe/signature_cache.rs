//! A cache of certificate signature checks.
//!
//! Every set of roots validates the same chains at each probe, and the signatures are what it
//! costs. Whether a signature is good depends on the algorithm, the key, the message and the
//! signature alone, never on dates, names or trust, so that a result holds for the life of the
//! process. Handshake signatures differ each time and are not cached.

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use sha2::{Digest, Sha256};

use crate::bounded_cache::BoundedCache;

const MAX_CACHED: usize = 1024;

/// Results, by the SHA-256 of all that they depend on.
#[derive(Debug)]
pub(super) struct SignatureCache(BoundedCache<[u8; 32], Result<(), InvalidSignature>>);

/// An algorithm that looks into the cache before it computes.
#[derive(Debug)]
pub(super) struct CachedAlgorithm<'a> {
    number: u8,
    algorithm: &'a dyn SignatureVerificationAlgorithm,
    cache: &'a SignatureCache,
}

impl Default for SignatureCache {
    fn default() -> Self {
        Self(BoundedCache::new(MAX_CACHED))
    }
}

impl SignatureCache {
    /// `algorithms`, each with this cache. They are distinguished by their position: all calls must
    /// pass the same ones.
    pub fn wrap<'a>(
        &'a self,
        algorithms: &[&'a dyn SignatureVerificationAlgorithm],
    ) -> Vec<CachedAlgorithm<'a>> {
        let numbered = (0..).zip(algorithms);
        let wrapped = numbered.map(|(number, algorithm)| CachedAlgorithm {
            number,
            algorithm: *algorithm,
            cache: self,
        });
        wrapped.collect()
    }
}

impl CachedAlgorithm<'_> {
    fn digest(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update([self.number]);
        for part in [public_key, signature, message] {
            // Lengths separate the parts.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl SignatureVerificationAlgorithm for CachedAlgorithm<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let digest = self.digest(public_key, message, signature);
        if let Some(result) = self.cache.0.get(&digest) {
            return result;
        }
        let result = self
            .algorithm
            .verify_signature(public_key, message, signature);
        self.cache.0.insert(digest, result);
        result
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    /// Counts its calls; the signature `good` is good.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(
            &self,
            _public_key: &[u8],
            _message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match signature {
                b"good" => Ok(()),
                _ => Err(InvalidSignature),
            }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_P256
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_SHA256
        }
    }

    #[test]
    fn verifies_each_signature_once() {
        let counting = [Counting::default(), Counting::default()];
        let all: Vec<&dyn SignatureVerificationAlgorithm> =
            counting.iter().map(|one| one as _).collect();
        let cache = SignatureCache::default();
        let [first, second] = &cache.wrap(&all)[..] else {
            panic!("there are two");
        };
        for _ in 0..3 {
            assert!(first.verify_signature(b"key", b"text", b"good").is_ok());
            assert!(first.verify_signature(b"key", b"text", b"bad").is_err());
        }
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 2);
        // Another key or message is another entry.
        for (key, message) in [(b"key", b"next"), (b"yek", b"text")] {
            assert!(first.verify_signature(key, message, b"good").is_ok());
        }
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 4);
        assert!(second.verify_signature(b"key", b"text", b"bad").is_err());
        assert_eq!(counting[1].0.load(Ordering::Relaxed), 1);
        // So are the same bytes, divided differently.
        assert!(first.verify_signature(b"keyb", b"text", b"ad").is_err());
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 5);
    }
}
