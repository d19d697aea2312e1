//! Round trips of one connection: what a single user waits for.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use serde_json::json;
use stillwire_bench::{dial, upgrade};

use crate::{Outcome, frame_of};

pub(crate) fn run(address: &str, target: &str, bytes: usize, count: usize) -> Outcome {
    let frame = frame_of(bytes);
    let answer_bytes = frame.len() - 4; // the answer has no mask
    let mut stream = dial(address.parse()?, 0)?;
    upgrade(&mut stream, address, target)?;
    let mut micros = Vec::with_capacity(count);
    let mut buffer = vec![0; 65_536];
    println!("begin");
    for number in 0..count + count / 10 {
        let sent = Instant::now();
        stream.write_all(&frame)?;
        let mut due = answer_bytes;
        while due > 0 {
            match stream.read(&mut buffer)? {
                0 => return Err("the server closed the connection".into()),
                read => due = due.saturating_sub(read),
            }
        }
        if number >= count / 10 {
            micros.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    micros.sort_by(f64::total_cmp);
    Ok(json!({ "p50": micros[count / 2], "p99": micros[count * 99 / 100] }))
}
