//! Clients that come, become a WebSocket, and leave.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use stillwire_bench::{dial, upgrade};

use crate::Outcome;

pub(crate) fn run(address: &str, target: &str, at_once: usize, seconds: usize) -> Outcome {
    let cycles = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let socket = address.parse()?;
    println!("begin");
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once)
            .map(|worker| {
                let (cycles, stop) = (&cycles, &stop);
                scope.spawn(move || -> std::io::Result<()> {
                    let mut number = worker;
                    while !stop.load(Ordering::Relaxed) {
                        let mut stream = dial(socket, number)?;
                        upgrade(&mut stream, address, target)?;
                        stream.shutdown(std::net::Shutdown::Write)?;
                        // The server closes, too.
                        while stream.read(&mut [0; 64])? > 0 {}
                        cycles.fetch_add(1, Ordering::Relaxed);
                        number += 1;
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(seconds as u64));
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok(json!({ "count": cycles.into_inner(), "seconds": seconds, "warm_seconds": 0 }))
}
