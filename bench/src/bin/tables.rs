//! Load on a server of tables: clients that ask, wait for the answer, and ask again.
//!
//! `tables ADDRESS OPERATION CLIENTS SECONDS`; prints one line of JSON. The table and its items are made before.

#![allow(clippy::print_stdout, reason = "what it found is printed")]
#![allow(clippy::disallowed_methods, reason = "a load measures real time")]

use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// A signature of the right form: no server of this benchmark verifies it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=host;x-amz-date;x-amz-target, Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// Items of the load, each of about 115 bytes of JSON: what a connection's row is.
const KEYS: usize = 1000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, operation, clients, seconds] = arguments.as_slice() else {
        return Err(io::Error::other("tables ADDRESS OPERATION CLIENTS SECONDS"));
    };
    let number = |text: &str| text.parse::<f64>().map_err(io::Error::other);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let clients = number(clients)? as usize;
    let time = Duration::from_secs_f64(number(seconds)?);
    let (began, mut all) = (Instant::now(), Vec::new());
    let work: Vec<_> = (0..clients)
        .map(|client| {
            let (address, operation) = (address.clone(), operation.clone());
            thread::spawn(move || ask(&address, &operation, client, began + time))
        })
        .collect();
    for client in work {
        all.extend(client.join().map_err(|_| io::Error::other("a client panicked"))??);
    }
    let seconds = began.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |part: usize| all.get(all.len() * part / 100).map_or(0, Duration::as_micros);
    println!(
        "{{\"count\":{},\"seconds\":{seconds},\"p50_us\":{},\"p99_us\":{}}}",
        all.len(),
        at(50),
        at(99)
    );
    Ok(())
}

/// One client: how long each answer took.
fn ask(address: &str, operation: &str, client: usize, end: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
    for number in 0.. {
        let request = request(address, operation, (client * 7919 + number) % KEYS);
        let began = Instant::now();
        if began >= end {
            break;
        }
        stream.write_all(&request)?;
        let stays = read_answer(&mut stream, &mut buffer)?;
        times.push(began.elapsed());
        if !stays {
            stream = TcpStream::connect(address)?;
        }
    }
    Ok(times)
}

fn request(address: &str, operation: &str, key: usize) -> Vec<u8> {
    let id = format!("connection-{key:06}");
    let key = format!(r#""Key":{{"id":{{"S":"{id}"}}}}"#);
    let body = match operation {
        "PutItem" => format!(
            r#"{{"TableName":"load","Item":{{"id":{{"S":"{id}"}},"room":{{"S":"lobby"}},"user":{{"S":"ada lovelace"}},"since":{{"N":"1764000000"}}}}}}"#
        ),
        "Scan" => r#"{"TableName":"load"}"#.to_owned(),
        _ => format!(r#"{{"TableName":"load",{key}}}"#),
    };
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: {SIGNATURE}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one whole answer, which must be a good one. Tells whether the server keeps the connection.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    let mut have = 0;
    loop {
        let Some(room) = buffer.get_mut(have..).filter(|room| !room.is_empty()) else {
            return Err(io::Error::other("the answer is too large"));
        };
        let read = stream.read(room)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        have += read;
        let text = buffer.get(..have).unwrap_or_default();
        let Some(head_end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head =
            String::from_utf8_lossy(text.get(..head_end).unwrap_or_default()).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(text).into_owned()));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if have >= head_end + 4 + length {
            return Ok(!head.contains("connection: close"));
        }
    }
}
