//! What goes out to endpoints and what is made of their answers, over real sockets on the loopback.

mod answers;
mod connections;
mod hostile;
mod server;
mod spelling;
mod subject;
mod tls;
mod traces;
mod wire;
