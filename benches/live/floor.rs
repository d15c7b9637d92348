//! The limit that viewers are held against: two threads that write the same bytes to as many sockets, and do nothing else.

use crate::client::Client;
use crate::common::{Outcome, millis};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::LocalSet;

const THREADS: usize = 2;

/// What is sent: an answer, and when the bytes were there. Nothing ends it.
type Sent = Option<(Arc<Vec<u8>>, Instant)>;

/// Milliseconds from a part's completion to its last byte at each of `viewers`, of parts of these `sizes` in bytes, one every
/// `every`.
pub fn floor(viewers: usize, sizes: &[usize], every: Duration) -> Outcome<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (sender, sent) = watch::channel::<Sent>(None);
    let answer = |bytes: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        Arc::new([head.into_bytes(), vec![0; bytes]].concat())
    };
    let answers: Vec<_> = sizes.iter().map(|it| answer(*it)).collect();
    let parts = answers.len();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (listener, sent) = (listener.try_clone(), sent.clone());
                scope.spawn(move || serve(listener?, viewers / THREADS, sent))
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let times = runtime.block_on(LocalSet::new().run_until(async {
            let mut all = Vec::new();
            for _ in 0..viewers / THREADS * THREADS {
                let mut client = Client::connect(address).await?;
                let sent = sent.clone();
                all.push(tokio::task::spawn_local(async move {
                    let mut times = Vec::new();
                    for _ in 0..parts {
                        client.fetched("floor").await?;
                        let at = sent.borrow().as_ref().map_or(Duration::ZERO, |it| it.1.elapsed());
                        times.push(millis(at));
                    }
                    Outcome::Ok(times)
                }));
            }
            for answer in answers {
                tokio::time::sleep(every).await;
                sender.send_replace(Some((answer, Instant::now())));
            }
            let mut times = Vec::new();
            for it in all {
                times.extend(it.await??);
            }
            Outcome::Ok(times)
        }));
        sender.send_replace(None);
        let times = times?;
        for thread in threads {
            thread.join().map_err(|_| "the floor fell in")??;
        }
        Ok(times)
    })
}

fn serve(listener: TcpListener, viewers: usize, sent: watch::Receiver<Sent>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(async {
        let mut all = Vec::new();
        for _ in 0..viewers {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let mut sent = sent.clone();
            all.push(tokio::task::spawn_local(async move {
                while sent.changed().await.is_ok() {
                    let Some((body, _)) = sent.borrow_and_update().clone() else { return Ok(()) };
                    let mut rest = &body[..];
                    while !rest.is_empty() {
                        match stream.try_write(rest) {
                            Ok(count) => rest = &rest[count..],
                            Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {
                                stream.writable().await?
                            }
                            Err(fault) => return Err(fault),
                        }
                    }
                }
                Ok(())
            }));
        }
        for it in all {
            it.await??;
        }
        Ok(())
    }))
}
