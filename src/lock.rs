//! Mutex locking that ignores poisoning: no critical section leaves its data half changed, and one
//! panicking probe must not stop the service.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
