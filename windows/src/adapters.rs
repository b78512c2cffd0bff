//! The network adapters with their name servers, and the suffixes of names in the registry.

use std::ffi::c_void;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::ptr;

use windows_registry::LOCAL_MACHINE;
use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_SUCCESS};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_FRIENDLY_NAME, GAA_FLAG_SKIP_MULTICAST,
    GAA_FLAG_SKIP_UNICAST, GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, AF_UNSPEC, SOCKADDR_IN, SOCKADDR_IN6, SOCKET_ADDRESS,
};

/// Bytes for the list of adapters: the first attempt, and what no computer needs.
const FIRST_SIZE: u32 = 16 << 10;
const MAX_SIZE: u32 = 16 << 20;

/// A network adapter that is up.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Port 0; a link-local address has the number of its interface.
    pub name_servers: Vec<SocketAddr>,
    /// Appended to names without a dot; may be empty.
    pub suffix: String,
    /// Windows prefers the lowest.
    metric: u32,
}

/// The adapters that are up, the preferred one first.
///
/// # Errors
/// Windows does not list them.
pub fn adapters() -> io::Result<Vec<Adapter>> {
    let flags = GAA_FLAG_SKIP_UNICAST
        | GAA_FLAG_SKIP_ANYCAST
        | GAA_FLAG_SKIP_MULTICAST
        | GAA_FLAG_SKIP_FRIENDLY_NAME;
    let mut size = FIRST_SIZE;
    loop {
        // Of u64, so that the entries are aligned.
        let mut buffer = vec![0_u64; size.div_ceil(8) as usize];
        let first: *mut IP_ADAPTER_ADDRESSES_LH = buffer.as_mut_ptr().cast();
        let family = u32::from(AF_UNSPEC);
        // SAFETY: the buffer has at least this size.
        let error =
            unsafe { GetAdaptersAddresses(family, flags, ptr::null(), first, &raw mut size) };
        match error {
            ERROR_SUCCESS => {
                // SAFETY: Windows has filled the buffer, which lives until the adapters are copied.
                let mut adapters = unsafe { copied(first) };
                adapters.sort_by_key(|adapter| adapter.metric);
                return Ok(adapters);
            }
            // `size` is what is needed now; an adapter may appear meanwhile.
            ERROR_BUFFER_OVERFLOW if size <= MAX_SIZE => {}
            _ => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
}

/// # Safety
/// `entry` is null or a list that `GetAdaptersAddresses` has written.
unsafe fn copied(mut entry: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<Adapter> {
    let mut adapters = Vec::new();
    // SAFETY: each pointer is null or points into the list.
    while let Some(adapter) = unsafe { entry.as_ref() } {
        entry = adapter.Next;
        if adapter.OperStatus != IfOperStatusUp {
            continue;
        }
        let mut name_servers = Vec::new();
        let mut server = adapter.FirstDnsServerAddress;
        while let Some(one) = unsafe { server.as_ref() } {
            server = one.Next;
            name_servers.extend(unsafe { address(&one.Address) });
        }
        adapters.push(Adapter {
            name_servers,
            suffix: unsafe { text(adapter.DnsSuffix) },
            metric: adapter.Ipv4Metric.min(adapter.Ipv6Metric),
        });
    }
    adapters
}

/// # Safety
/// The pointer of `address` is null or points to as many bytes as it says.
unsafe fn address(address: &SOCKET_ADDRESS) -> Option<SocketAddr> {
    let pointer: *const c_void = address.lpSockaddr.cast();
    let length = usize::try_from(address.iSockaddrLength).ok()?;
    if pointer.is_null() || length < size_of::<u16>() {
        return None;
    }
    // SAFETY: both forms begin with the family, and are read only if they are there as a whole.
    unsafe {
        match pointer.cast::<u16>().read_unaligned() {
            AF_INET if length >= size_of::<SOCKADDR_IN>() => {
                let v4 = pointer.cast::<SOCKADDR_IN>().read_unaligned();
                let ip = Ipv4Addr::from(v4.sin_addr.S_un.S_addr.to_ne_bytes());
                Some(SocketAddr::new(IpAddr::V4(ip), 0))
            }
            AF_INET6 if length >= size_of::<SOCKADDR_IN6>() => {
                let v6 = pointer.cast::<SOCKADDR_IN6>().read_unaligned();
                let scope = v6.Anonymous.sin6_scope_id;
                Some(SocketAddrV6::new(v6.sin6_addr.u.Byte.into(), 0, 0, scope).into())
            }
            _ => None,
        }
    }
}

/// # Safety
/// `start` is null or points to UTF-16 that ends with a zero.
unsafe fn text(start: *const u16) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: nothing behind the zero is read.
    let units = unsafe {
        let length = (0..).take_while(|index| *start.add(*index) != 0).count();
        std::slice::from_raw_parts(start, length)
    };
    String::from_utf16_lossy(units)
}

const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows NT\DNSClient";
const SETTINGS: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

/// What Windows appends to a name without a dot, in this order: the list of the policy, else that of the settings,
/// else the domain of the computer and the suffixes of its adapters.
pub fn suffixes(adapters: &[Adapter]) -> Vec<String> {
    for key in [POLICY, SETTINGS] {
        let list = split(&value(key, "SearchList"));
        if !list.is_empty() {
            return list;
        }
    }
    let domain = value(SETTINGS, "Domain");
    let adapters = adapters.iter().map(|adapter| adapter.suffix.as_str());
    std::iter::once(domain.as_str())
        .chain(adapters)
        .flat_map(split)
        .collect()
}

fn value(key: &str, name: &str) -> String {
    let key = LOCAL_MACHINE.open(key);
    key.and_then(|key| key.get_string(name)).unwrap_or_default()
}

fn split(list: &str) -> Vec<String> {
    let names = list.split([',', ' ']).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
