//! Raw HTTP/1.x over a socket: the recorded targets hold `//`, `%2f`, dot segments and odd methods that a client
//! library would tidy up or refuse.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// False where the connection ended before the body did.
    pub complete: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// The first header of that name, whatever its case.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub http10: bool,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

impl Request<'_> {
    fn bytes(&self) -> Vec<u8> {
        let version = if self.http10 { "1.0" } else { "1.1" };
        let mut text = format!("{} {} HTTP/{version}\r\n", self.method, self.target);
        if header(self.headers, "host").is_none() {
            text.push_str("Host: 127.0.0.1\r\n");
        }
        for (name, value) in self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if header(self.headers, "connection").is_none() {
            text.push_str("Connection: close\r\n");
        }
        if !self.body.is_empty() && header(self.headers, "content-length").is_none() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.body);
        bytes
    }

    pub fn send(&self, to: SocketAddr, patience: Duration) -> io::Result<Answer> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        // A server may answer and close before it has read an over-long request: then the answer still counts.
        let sent = socket.write_all(&self.bytes());
        match parse(&mut BufReader::new(&socket), self.method == "HEAD") {
            Ok(answer) => Ok(answer),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }
}

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads one answer; `head` where the request was a HEAD, whose answer has no body whatever its headers say.
pub fn parse(reader: &mut impl BufRead, head: bool) -> io::Result<Answer> {
    loop {
        let first = line(reader)?;
        let mut words = first.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status: u16 = match words.next().map(str::parse) {
            Some(Ok(status)) if version.starts_with("HTTP/1.") => status,
            _ => return Err(bad(format!("not a status line: {first:?}"))),
        };
        let mut headers = Vec::new();
        loop {
            let text = line(reader)?;
            if text.is_empty() {
                break;
            }
            let (name, value) = text.split_once(':').ok_or_else(|| bad(format!("not a header: {text:?}")))?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if (100..200).contains(&status) {
            continue;
        }
        let mut body = Vec::new();
        let complete = if head || status == 204 || status == 304 {
            true
        } else if header(&headers, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            chunks(reader, &mut body)?
        } else if let Some(length) = header(&headers, "content-length") {
            let length: u64 = length.parse().map_err(|_| bad(format!("not a length: {length:?}")))?;
            ends_early(reader.take(length).read_to_end(&mut body))?;
            body.len() as u64 == length
        } else {
            ends_early(reader.read_to_end(&mut body))?;
            true
        };
        return Ok(Answer { status, headers, body, complete });
    }
}

/// A connection torn down in the middle of a body is an answer that is not complete, not a failed request.
fn ends_early(read: io::Result<usize>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

/// The body out of its chunks; true when the last chunk came.
fn chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let Ok(size) = line(reader) else { return Ok(false) };
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| bad(format!("not a chunk size: {size:?}")))?;
        let before = body.len();
        ends_early(reader.take(size).read_to_end(body))?;
        if (body.len() - before) as u64 != size {
            return Ok(false);
        }
        // After the last chunk come trailers up to an empty line; after the others, an empty line.
        loop {
            match line(reader) {
                Err(_) => return Ok(false),
                Ok(text) if text.is_empty() => break,
                Ok(_) if size == 0 => {}
                Ok(text) => return Err(bad(format!("after a chunk: {text:?}"))),
            }
        }
        if size == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, head: bool) -> Answer {
        parse(&mut text.as_bytes(), head).unwrap()
    }

    #[test]
    fn bodies_by_length_by_chunks_and_by_close() {
        let answer = read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: a: b\r\n\r\nabcd", false);
        assert_eq!((answer.status, answer.body.as_slice(), answer.complete), (200, &b"abc"[..], true));
        assert_eq!(answer.header("x"), Some("a: b"));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
        let answer = read(chunked, false);
        assert_eq!((answer.body.as_slice(), answer.complete), (&b"abc0123456789"[..], true));
        let answer = read("HTTP/1.0 200 OK\r\n\r\nto the end", false);
        assert_eq!((answer.body.as_slice(), answer.complete), (&b"to the end"[..], true));
    }

    #[test]
    fn a_body_cut_off_is_told_from_a_whole_one() {
        assert!(!read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false).complete);
        for text in ["3\r\nab", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", ""] {
            let answer = read(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}"), false);
            assert!(!answer.complete, "{text:?}");
        }
    }

    #[test]
    fn answers_without_a_body() {
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true).complete);
        assert!(read("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false).complete);
        assert_eq!(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", false).status, 204);
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            assert!(parse(&mut text.as_bytes(), false).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_request_is_written_as_given() {
        let headers = [("Range".to_owned(), "bytes=0-1".to_owned())];
        let request =
            Request { method: "GET", target: "//a/../%2f", http10: false, headers: &headers, body: b"" };
        assert_eq!(
            String::from_utf8(request.bytes()).unwrap(),
            "GET //a/../%2f HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n"
        );
    }
}
