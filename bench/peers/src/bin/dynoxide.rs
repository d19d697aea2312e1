//! The tables' engine as it comes: its own HTTP front, in memory or in a file. Says its address when it is ready.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = match std::env::args().nth(1) {
        Some(file) => dynoxide::Database::new(&file)?,
        None => dynoxide::Database::memory()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        dynoxide::server::serve_on(listener, database).await;
        Ok(())
    })
}
