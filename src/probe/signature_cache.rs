//! Signature checks of which none is made twice.
//!
//! Each set of roots judges the same certificates by the same rules, probe after probe; what it costs is
//! the signatures. Whether one is good depends on the key, the message and the signature alone, never on
//! the date, the name or who is trusted; so what was found of these bytes holds for as long as this
//! process lives. In: the provider's algorithms. Out: the same ones, which remember what they found.
//! Only certificates are checked by them: what a server signs in a handshake is new each time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use sha2::{Digest, Sha256};

/// How many signatures are remembered.
const MAX_KEPT: usize = 1024;

/// What was found already, by the SHA-256 of all that it depends on.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<HashMap<[u8; 32], Result<(), InvalidSignature>>>);

/// An algorithm that looks at what was found before it computes.
pub(super) struct CachedVerifier<'a> {
    number: u8,
    algorithm: &'a dyn SignatureVerificationAlgorithm,
    found: &'a Found,
}

impl Found {
    /// `algorithms`, each of which adds to what is found. They are told apart by their place: all calls
    /// must name the same ones.
    pub fn with_cache<'a>(
        &'a self,
        algorithms: &[&'a dyn SignatureVerificationAlgorithm],
    ) -> Vec<CachedVerifier<'a>> {
        let once =
            |(number, algorithm): (u8, &&'a dyn SignatureVerificationAlgorithm)| CachedVerifier {
                number,
                algorithm: *algorithm,
                found: self,
            };
        (0..).zip(algorithms).map(once).collect()
    }
}

impl CachedVerifier<'_> {
    fn digest(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update([self.number]);
        for part in [public_key, signature, message] {
            // Where one ends and the next begins is part of it.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl SignatureVerificationAlgorithm for CachedVerifier<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let digest = self.digest(public_key, message, signature);
        let mut found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = found.get(&digest) {
            return *outcome;
        }
        let outcome = self
            .algorithm
            .verify_signature(public_key, message, signature);
        if found.len() >= MAX_KEPT {
            found.clear();
        }
        found.insert(digest, outcome);
        outcome
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

impl fmt::Debug for CachedVerifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    /// Counts how often it is asked; the signature `good` is good.
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
    fn the_same_signature_is_computed_once_and_another_is_not_taken_for_it() {
        let counting = [Counting::default(), Counting::default()];
        let all: Vec<&dyn SignatureVerificationAlgorithm> =
            counting.iter().map(|one| one as _).collect();
        let found = Found::default();
        let [first, second] = &found.with_cache(&all)[..] else {
            panic!("there are two");
        };
        for _ in 0..3 {
            assert!(first.verify_signature(b"key", b"text", b"good").is_ok());
            assert!(first.verify_signature(b"key", b"text", b"bad").is_err());
        }
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 2);
        // Whatever differs makes it another.
        for (key, message) in [(b"key", b"next"), (b"yek", b"text")] {
            assert!(first.verify_signature(key, message, b"good").is_ok());
        }
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 4);
        assert!(second.verify_signature(b"key", b"text", b"bad").is_err());
        assert_eq!(counting[1].0.load(Ordering::Relaxed), 1);
        // Nor is one whose parts are cut elsewhere.
        assert!(first.verify_signature(b"keyb", b"text", b"ad").is_err());
        assert_eq!(counting[0].0.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let counting = Counting::default();
        let found = Found::default();
        let [once] = &found.with_cache(&[&counting as _])[..] else {
            panic!("there is one");
        };
        for number in 0..=MAX_KEPT {
            let _ = once.verify_signature(b"key", &number.to_be_bytes(), b"good");
        }
        assert_eq!(found.0.lock().unwrap().len(), 1);
    }
}
