//! Signature checks of which none is made twice while one chain is judged.
//!
//! Each set of roots judges the same certificates by the same rules; what it costs is the signatures,
//! and those depend on the certificates alone. In: the provider's algorithms. Out: the same ones, which
//! remember what they found for as long as they live: one judgement.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

/// What was found already. A chain is bounded, and so is this.
#[derive(Default)]
pub(super) struct Found(Mutex<Vec<Check>>);

struct Check {
    algorithm: usize,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    outcome: Result<(), InvalidSignature>,
}

/// An algorithm that looks at what was found before it computes.
pub(super) struct Once<'a> {
    number: usize,
    algorithm: &'a dyn SignatureVerificationAlgorithm,
    found: &'a Found,
}

impl Found {
    /// `algorithms`, each of which adds to what is found.
    pub fn remembering<'a>(
        &'a self,
        algorithms: &[&'a dyn SignatureVerificationAlgorithm],
    ) -> Vec<Once<'a>> {
        let once = |(number, algorithm): (usize, &&'a dyn SignatureVerificationAlgorithm)| Once {
            number,
            algorithm: *algorithm,
            found: self,
        };
        algorithms.iter().enumerate().map(once).collect()
    }
}

impl SignatureVerificationAlgorithm for Once<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |check: &&Check| {
            check.algorithm == self.number
                && check.signature == signature
                && check.key == public_key
                && check.message == message
        };
        if let Some(check) = found.iter().find(same) {
            return check.outcome;
        }
        let outcome = self
            .algorithm
            .verify_signature(public_key, message, signature);
        found.push(Check {
            algorithm: self.number,
            key: public_key.to_vec(),
            message: message.to_vec(),
            signature: signature.to_vec(),
            outcome,
        });
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

impl fmt::Debug for Once<'_> {
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
        let [first, second] = &found.remembering(&all)[..] else {
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
    }
}
