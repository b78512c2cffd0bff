//! A fair queue for password hashing: one hash at a time, and networks take turns.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ipnet::{IpNet, Ipv6Net};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::lock::lock;

/// Requests of one network that wait or hash.
const MAX_PER_NETWORK: usize = 16;
/// Networks that wait or hash.
const MAX_NETWORKS: usize = 256;

pub struct HashQueue {
    /// First in, first out: at most one request of each network waits here.
    running: Semaphore,
    networks: Mutex<HashMap<IpNet, Network>>,
}

struct Network {
    requests: usize,
    turn: Arc<Semaphore>,
}

/// The right to hash, until it is dropped.
pub struct Turn<'a> {
    _running: SemaphorePermit<'a>,
    _network: OwnedSemaphorePermit,
    _request: QueuedRequest<'a>,
}

impl HashQueue {
    pub fn new() -> Self {
        Self {
            running: Semaphore::new(1),
            networks: Mutex::default(),
        }
    }

    /// Waits for the turn of a request; `None` if too many requests wait.
    pub async fn turn(&self, client: IpAddr) -> Option<Turn<'_>> {
        let (request, turn) = self.add(network(client))?;
        Some(Turn {
            _network: turn.acquire_owned().await.ok()?,
            _running: self.running.acquire().await.ok()?,
            _request: request,
        })
    }

    fn add(&self, network: IpNet) -> Option<(QueuedRequest<'_>, Arc<Semaphore>)> {
        let mut networks = lock(&self.networks);
        if networks.len() >= MAX_NETWORKS && !networks.contains_key(&network) {
            return None;
        }
        let entry = networks.entry(network).or_insert_with(|| Network {
            requests: 0,
            turn: Arc::new(Semaphore::new(1)),
        });
        if entry.requests >= MAX_PER_NETWORK {
            return None;
        }
        entry.requests += 1;
        let queue = self;
        Some((QueuedRequest { queue, network }, Arc::clone(&entry.turn)))
    }
}

/// Counts a request of a network until it is dropped.
struct QueuedRequest<'a> {
    queue: &'a HashQueue,
    network: IpNet,
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        let mut networks = lock(&self.queue.networks);
        if let Some(entry) = networks.get_mut(&self.network) {
            entry.requests -= 1;
            if entry.requests == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 address, which one client may own as a whole.
fn network(client: IpAddr) -> IpNet {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).trunc().into(),
        address => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn networks_take_turns_and_one_network_cannot_fill_the_queue() {
        let queue = HashQueue::new();
        let attacker: IpAddr = "10.0.0.1".parse().unwrap();
        let scraper: IpAddr = "10.0.0.2".parse().unwrap();
        let first = queue.turn(attacker).await.unwrap();
        let mut waiting: Vec<_> = (1..MAX_PER_NETWORK)
            .map(|_| Box::pin(queue.turn(attacker)))
            .collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(
            queue.turn(attacker).await.is_none(),
            "the network's queue is full"
        );
        let mut of_scraper = Box::pin(queue.turn(scraper));
        assert!(futures_util::poll!(&mut of_scraper).is_pending());
        drop(first);
        // At most one request of the attacker was in front.
        let mut second = waiting.remove(0);
        if let std::task::Poll::Ready(turn) = futures_util::poll!(&mut second) {
            drop(turn);
        }
        let turn = futures_util::poll!(&mut of_scraper);
        assert!(matches!(turn, std::task::Poll::Ready(Some(_))));
    }

    #[test]
    fn networks_are_addresses_of_ipv4_and_64_bits_of_ipv6() {
        for (client, expected) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network(client.parse().unwrap()).to_string(), expected);
        }
    }
}
