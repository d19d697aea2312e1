//! The backend of integrations: it tells what it was asked.
//!
//! Its answer has the status at the end of the path (`/404`), or 200; `/slow` takes two seconds.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Result;

/// A backend that runs as long as the process.
#[derive(Debug)]
pub(crate) struct Backend {
    port: u16,
    got: Arc<Mutex<Vec<Value>>>,
}

impl Backend {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let got = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &got).is_some() {});
            }
        });
        Ok(Self { port, got })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// All requests so far: `method`, `path`, `query`, `headers` by their names in lower case, `body`.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves one request; `None` when there is no more.
fn serve(stream: &TcpStream, got: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Map::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.into());
    }
    let length = headers.get("content-length").and_then(Value::as_str);
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = json!({ "method": method, "path": path, "query": query, "headers": headers,
        "body": String::from_utf8_lossy(&body) });
    got.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let last = path.rsplit('/').next().unwrap_or_default();
    if last == "slow" {
        std::thread::sleep(Duration::from_secs(2));
    }
    let status: u16 = last.parse().ok().filter(|status| *status < 600).unwrap_or(200);
    let answer = json!({ "status": status, "said": "hello" }).to_string();
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status} Some\r\nContent-Length: {}\r\nX-Kind: odd\r\nContent-Type: application/json\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}
