//! An echo on fastwebsockets and hyper.

use fastwebsockets::{OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(serve))
                .with_upgrades();
            drop(serving.await);
        });
    }
}

async fn serve(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    tokio::spawn(async move {
        let Ok(mut socket) = upgraded.await else { return };
        socket.set_writev(false);
        while let Ok(frame) = socket.read_frame().await {
            match frame.opcode {
                OpCode::Text | OpCode::Binary => {
                    if socket.write_frame(frame).await.is_err() {
                        return;
                    }
                }
                OpCode::Ping | OpCode::Pong => {}
                _ => return,
            }
        }
    });
    Ok(response)
}
