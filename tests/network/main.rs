#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod blackbox_exporter;
mod dead_mount;
mod firewall;
mod full_disk;
mod hosts_file;
mod nginx_unbound_prometheus;
mod two_users;
