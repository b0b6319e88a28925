//! A cable between a client and a server, which can be cut: the server goes on with what it was sent, and hears nothing more.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Connections through it lead to one server; they last as long as the process.
pub struct Cable {
    port: u16,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    /// One to this port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let all = Arc::clone(&clients);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) else { continue };
                all.lock().unwrap_or_else(PoisonError::into_inner).push(client.try_clone().expect("a socket"));
                let ends = [client.try_clone(), server.try_clone()].map(|end| end.expect("a socket"));
                let [to_client, to_server] = ends;
                thread::spawn(move || copy(client, to_server));
                thread::spawn(move || copy(server, to_client));
            }
        });
        Self { port: address.port(), clients }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections for the clients; for the server they stay.
    pub fn cut(&self) {
        for client in self.clients.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            client.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Until one end is closed; the other one stays open.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Closing it would tell the other end.
    std::mem::forget(to);
}
