//! Ports for the programs that tests start.

use std::{net::TcpListener, process, time::SystemTime};

/// Below the ports that the kernel hands out for outgoing connections: a server that is killed finds its port still free
/// when it is started again, however many connections other tests have opened meanwhile.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

/// A port of 127.0.0.1 on which nobody listens. Tests that run at the same time begin to look at different places.
///
/// # Panics
/// When all are taken.
pub fn free_port() -> u16 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let start = nanos.wrapping_mul(31).wrapping_add(process::id().wrapping_mul(7_919));
    (0..COUNT)
        .map(|step| FIRST + u16::try_from(start.wrapping_add(step) % COUNT).expect("COUNT fits a port"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}
