//! Clients of a server under test.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use stillwire_websocket::client::request;

/// Opens a connection from one of many loopback addresses: one has only so many ports.
pub fn dial(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let [_, _, high, low] = u32::try_from(number % 64 + 2).unwrap_or(2).to_be_bytes();
    bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, high, low), 0)))?;
    connect(&socket, &address)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket.into())
}

/// Makes it a WebSocket; gives the id that the server names, if any.
pub fn upgrade(stream: &mut TcpStream, address: &str, target: &str) -> io::Result<String> {
    let head = request(address, target, "dGhlIHNhbXBsZSBub25jZQ==", &[], &[]);
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(answer.into_owned()));
    }
    let id = answer.lines().find_map(|line| line.strip_prefix("x-connection-id: "));
    Ok(id.unwrap_or_default().to_owned())
}

/// Opens a WebSocket that does not wait.
pub fn open(address: &str, target: &str, number: usize) -> io::Result<(TcpStream, String)> {
    let socket = address.parse().map_err(io::Error::other)?;
    let mut stream = dial(socket, number)?;
    let id = upgrade(&mut stream, address, target)?;
    stream.set_nonblocking(true)?;
    Ok((stream, id))
}
