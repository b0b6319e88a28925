//! A cable between a client and a server, which can be cut: the server goes on with what it was sent, and hears nothing more.
//! Or it goes dead, and the client is not told either.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Connections through it lead to one server; they last as long as the process.
pub struct Cable {
    port: u16,
    plug: Arc<Plug>,
}

#[derive(Default)]
struct Plug {
    wires: Mutex<Vec<Arc<Wire>>>,
    is_out: AtomicBool,
    /// Who connects is let in, and hears nothing.
    is_dark: AtomicBool,
    /// Those who did.
    unheard: Mutex<Vec<TcpStream>>,
    /// Whoever says this unplugs it, once.
    fuse: Mutex<Option<&'static str>>,
}

/// One connection, from end to end.
struct Wire {
    client: TcpStream,
    server: TcpStream,
    is_cut: AtomicBool,
    is_dead: AtomicBool,
}

impl Cable {
    /// One to this port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let plug = Arc::<Plug>::default();
        let there = Arc::clone(&plug);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if there.is_out.load(Ordering::Relaxed) {
                    continue;
                }
                if there.is_dark.load(Ordering::Relaxed) {
                    there.unheard.lock().unwrap_or_else(PoisonError::into_inner).push(client);
                    continue;
                }
                // Without a server nobody takes the call.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                // As fast as without it.
                for end in [&client, &server] {
                    end.set_nodelay(true).expect("an open socket");
                }
                let (is_cut, is_dead) = (AtomicBool::new(false), AtomicBool::new(false));
                let wire = Arc::new(Wire { client, server, is_cut, is_dead });
                there.wires().push(Arc::clone(&wire));
                let (back, plug) = (Arc::clone(&wire), Arc::clone(&there));
                thread::spawn(move || wire.carry(&wire.client, &wire.server, |said| plug.hear(said)));
                thread::spawn(move || back.carry(&back.server, &back.client, |_| {}));
            }
        });
        Self { port: address.port(), plug }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts it, and lets nobody in before it is plugged in again.
    pub fn unplug(&self) {
        self.plug.pull();
    }

    /// Unplugs it at the moment at which a client says this, which the server does not hear any more.
    pub fn unplug_at(&self, words: &'static str) {
        *self.plug.fuse() = Some(words);
    }

    /// Whether it is unplugged.
    pub fn is_out(&self) -> bool {
        self.plug.is_out.load(Ordering::Relaxed)
    }

    /// The opposite of [`Cable::unplug`] and [`Cable::go_dark`]: new connections are as good as ever.
    pub fn plug_in(&self) {
        self.plug.is_out.store(false, Ordering::Relaxed);
        self.plug.is_dark.store(false, Ordering::Relaxed);
    }

    /// Carries nothing any more on the connections that there are, and neither end is told. New ones are as good as ever.
    pub fn go_dead(&self) {
        for wire in self.plug.wires().iter() {
            wire.is_dead.store(true, Ordering::Relaxed);
        }
    }

    /// Cuts it. Whoever connects hears nothing, not even that; only those who connect after it is plugged in again do.
    pub fn go_dark(&self) {
        self.plug.is_dark.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Ends all connections for the clients; for the server they stay.
    pub fn cut(&self) {
        self.plug.cut();
    }
}

impl Plug {
    fn pull(&self) {
        self.is_out.store(true, Ordering::Relaxed);
        self.cut();
    }

    fn cut(&self) {
        for wire in self.wires().iter() {
            wire.is_cut.store(true, Ordering::Relaxed);
            wire.client.shutdown(Shutdown::Both).ok();
        }
    }

    fn hear(&self, said: &[u8]) {
        let mut fuse = self.fuse();
        let blows = |words: &str| said.windows(words.len()).any(|part| part == words.as_bytes());
        if fuse.take_if(|words| blows(words)).is_some() {
            self.pull();
        }
    }

    fn wires(&self) -> MutexGuard<'_, Vec<Arc<Wire>>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fuse(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.fuse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// Until one end is closed, of which the other hears unless the wire is cut.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, hear: impl Fn(&[u8])) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            hear(&buffer[..count]);
            if self.is_dead.load(Ordering::Relaxed) {
                continue;
            }
            if self.is_cut.load(Ordering::Relaxed) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if !self.is_cut.load(Ordering::Relaxed) && !self.is_dead.load(Ordering::Relaxed) {
            to.shutdown(Shutdown::Both).ok();
        }
    }
}
