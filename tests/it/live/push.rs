//! FFmpeg as the other side: senders we listen for, listeners we fetch from.
// The rules against processes and unnamed threads are about the server.
#![allow(clippy::disallowed_methods)]

use super::*;
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// FFmpeg sending a film over and over; ended when dropped.
struct Ffmpeg(Child);

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ffmpeg(film: &Path, arguments: &[&str]) -> Option<Ffmpeg> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i"]).arg(film);
    command
        .args(["-c", "copy"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Ffmpeg(child)),
        Err(_) => {
            println!("skipped: there is no ffmpeg");
            None
        }
    }
}

fn film(house: &House) -> std::path::PathBuf {
    let path = house.folder.path().join("film.ts");
    std::fs::write(&path, camera::transport(160, 96, 100, 25, 2, false)).expect("a file");
    path
}

fn tcp_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr()).expect("a port").port()
}

fn udp_port() -> u16 {
    UdpSocket::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr()).expect("a port").port()
}

/// Follows until the film was begun again, and looks at what came.
fn watch(stream: &Arc<Stream>) {
    until(stream, "a round of the film", has_pictures(60));
    sound(stream);
    let tracks = stream.ring.epoch().expect("an epoch").tracks.clone();
    assert_eq!(
        (tracks.len(), tracks[0].name.as_str(), tracks[0].width, tracks[1].name.as_str()),
        (2, "h264", 160, "aac")
    );
    stream.stop();
    until(stream, "left", |it| !it.is_running());
}

#[test]
fn transport_streams_come_over_udp() {
    let (house, port) = (House::open(|_| {}), udp_port());
    let stream = house.put("cam", json!({"source": format!("udp://127.0.0.1:{port}"), "keepalive": true}));
    let target = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let Some(_sender) = ffmpeg(&film(&house), &["-f", "mpegts", &target]) else { return };
    watch(&stream);
}

#[test]
fn pushes_come_over_srt_and_come_again() {
    let (house, port) = (House::open(|_| {}), udp_port());
    let options = json!({"port": port, "passphrase": "0123456789ab"});
    let stream = house.put("cam", json!({"source": {"push": "srt"}, "options": options}));
    let film = film(&house);
    let target = format!("srt://127.0.0.1:{port}?passphrase=0123456789ab&connect_timeout=60000");
    let Some(sender) = ffmpeg(&film, &["-f", "mpegts", &target]) else { return };
    until(&stream, "pictures", has_pictures(30));
    drop(sender);
    until(&stream, "waiting again", |it| it.status().starts == 2);
    let seen = pictures(&stream).len();
    let _sender = ffmpeg(&film, &["-f", "mpegts", &target]);
    until(&stream, "pictures again", has_pictures(seen + 30));
    watch(&stream);
}

#[test]
fn pushes_come_over_rtmp() {
    let (house, port) = (House::open(|_| {}), tcp_port());
    let stream = house.put("cam", json!({"source": {"push": "rtmp"}, "options": {"port": port}}));
    until(&stream, "somebody who listens", |_| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    // That knock was a caller that said nothing: whoever comes next is taken.
    until(&stream, "listening again", |it| it.status().starts >= 2);
    let target = format!("rtmp://127.0.0.1:{port}/live/key");
    let film = film(&house);
    let mut senders = Vec::new();
    let begun = std::cell::Cell::new(std::time::Instant::now());
    let Some(sender) = ffmpeg(&film, &["-f", "flv", &target]) else { return };
    senders.push(sender);
    let senders = std::cell::RefCell::new(senders);
    until(&stream, "pictures", |it| {
        // A sender that came between two listeners gave up.
        let gone = senders.borrow_mut().last_mut().is_some_and(|it| matches!(it.0.try_wait(), Ok(Some(_))));
        if gone && begun.get().elapsed() > Duration::from_millis(200) {
            begun.set(std::time::Instant::now());
            senders.borrow_mut().extend(ffmpeg(&film, &["-f", "flv", &target]));
        }
        has_pictures(30)(it)
    });
    watch(&stream);
}

#[test]
fn transport_streams_are_fetched_over_srt_and_http() {
    let house = House::open(|_| {});
    let film = film(&house);
    let (srt, http) = (udp_port(), tcp_port());
    let target = format!("srt://127.0.0.1:{srt}?mode=listener");
    let Some(_sender) = ffmpeg(&film, &["-f", "mpegts", &target]) else { return };
    let stream = house.put("srt", json!({"source": format!("srt://127.0.0.1:{srt}"), "keepalive": true}));
    watch(&stream);
    let target = format!("http://127.0.0.1:{http}/live.ts");
    let _sender = ffmpeg(&film, &["-f", "mpegts", "-listen", "1", &target]);
    let stream = house.put("http", json!({"source": target, "keepalive": true}));
    watch(&stream);
}

#[test]
fn playlists_are_followed_and_lead_nowhere_else() {
    // A playlist whose second segment lies where this server may not go.
    let bytes = camera::transport(160, 96, 50, 25, 0, false);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\n/a.ts\n\
        #EXTINF:2.0,\nhttp://169.254.169.254/b.ts\n#EXT-X-ENDLIST\n";
    let serving = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut asked = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut head = [0; 4096];
            let count = connection.read(&mut head).unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or_default().to_owned();
            let body = match line.as_str() {
                it if it.contains("/x.m3u8") => text.as_bytes(),
                it if it.contains("/a.ts") => &bytes[..],
                _ => return asked,
            };
            asked.push(line);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
        }
        asked
    });
    let house = House::open(|parts| parts.policy.first = 3600 * SECOND);
    let stream = house.put("hls", json!({"source": format!("http://{address}/x.m3u8"), "keepalive": true}));
    until(&stream, "its end", |it| it.state() == State::BackingOff);
    assert_eq!(stream.status().cause, Some("not-allowed"));
    let _ = std::net::TcpStream::connect(address);
    assert!(serving.join().expect("a server").iter().any(|it| it.contains("/a.ts")));
}
