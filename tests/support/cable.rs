//! A cable between a client and a server, which can be cut: the server goes on with what it was sent, and hears nothing more.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Connections through it lead to one server; they last as long as the process.
pub struct Cable {
    port: u16,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
    is_out: Arc<AtomicBool>,
}

/// One connection, from end to end.
struct Wire {
    client: TcpStream,
    server: TcpStream,
    is_cut: AtomicBool,
}

impl Cable {
    /// One to this port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let wires: Arc<Mutex<Vec<Arc<Wire>>>> = Arc::default();
        let is_out = Arc::new(AtomicBool::new(false));
        let (all, nobody_there) = (Arc::clone(&wires), Arc::clone(&is_out));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if nobody_there.load(Ordering::Relaxed) {
                    continue;
                }
                // Without a server nobody takes the call.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                // As fast as without it.
                for end in [&client, &server] {
                    end.set_nodelay(true).expect("an open socket");
                }
                let wire = Arc::new(Wire { client, server, is_cut: AtomicBool::new(false) });
                all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&wire));
                let other = Arc::clone(&wire);
                thread::spawn(move || wire.carry(&wire.client, &wire.server));
                thread::spawn(move || other.carry(&other.server, &other.client));
            }
        });
        Self { port: address.port(), wires, is_out }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts it, and lets nobody in before it is plugged in again.
    pub fn unplug(&self) {
        self.is_out.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// The opposite of [`Cable::unplug`].
    pub fn plug_in(&self) {
        self.is_out.store(false, Ordering::Relaxed);
    }

    /// Ends all connections for the clients; for the server they stay.
    pub fn cut(&self) {
        for wire in self.wires.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wire.is_cut.store(true, Ordering::Relaxed);
            wire.client.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Wire {
    /// Until one end is closed, of which the other hears unless the wire is cut.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if !self.is_cut.load(Ordering::Relaxed) {
            to.shutdown(Shutdown::Both).ok();
        }
    }
}
