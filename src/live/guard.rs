//! Which addresses may be opened. Whoever may add streams must not reach through them what only this machine reaches: its
//! own services, or a cloud's metadata.

use super::source::{Address, Protocol};
use crate::base::{Error, Kind, Result, Token};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Who may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Group(Group),
    Net(IpAddr, u32),
    /// A host's name, or the end of one with its period (`.cams.example`).
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Loopback,
    LinkLocal,
    Private,
    Multicast,
    Public,
}

impl Group {
    const NAMES: [(&'static str, Self); 5] = [
        ("loopback", Self::Loopback),
        ("link-local", Self::LinkLocal),
        ("private", Self::Private),
        ("multicast", Self::Multicast),
        ("public", Self::Public),
    ];

    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                match (a, b) {
                    (127 | 0, _) => Self::Loopback,
                    // Broadcast and what is reserved reach nobody far away.
                    (169, 254) | (240..=255, _) => Self::LinkLocal,
                    (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Self::Private,
                    (224..=239, _) => Self::Multicast,
                    _ => Self::Public,
                }
            }
            IpAddr::V6(ip) => match ip.segments()[0] {
                _ if ip.is_loopback() || ip.is_unspecified() => Self::Loopback,
                0xfe80..=0xfebf => Self::LinkLocal,
                0xfc00..=0xfdff => Self::Private,
                0xff00..=0xffff => Self::Multicast,
                _ => Self::Public,
            },
        }
    }
}

/// What may be opened, by schemes, hosts and one folder.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    schemes: BTreeSet<String>,
    allowed: Vec<Rule>,
    denied: Vec<Rule>,
    /// The folder of live files; `None`: no files.
    files: Option<PathBuf>,
}

impl Guard {
    /// `schemes`: with commas. `hosts`: groups (loopback, link-local, private, multicast, public), networks (10.1.0.0/16),
    /// addresses and names (`cam.lan`, `.cams.example`), with commas; what begins with `!` is refused first. `files`: empty
    /// for none.
    ///
    /// # Errors
    /// The first word that is none of these.
    pub fn new(schemes: &str, hosts: &str, files: PathBuf) -> Result<Self, String> {
        let words = |text: &str| -> Vec<String> {
            text.split(',').map(|it| it.trim().to_ascii_lowercase()).filter(|it| !it.is_empty()).collect()
        };
        let mut guard =
            Self { files: Some(files).filter(|it| !it.as_os_str().is_empty()), ..Self::default() };
        for scheme in words(schemes) {
            const KNOWN: [&str; 10] =
                ["rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "http", "https", "file"];
            if !KNOWN.contains(&scheme.as_str()) {
                return Err(format!("'{scheme}' is none of {}", KNOWN.join(", ")));
            }
            guard.schemes.insert(scheme);
        }
        for word in words(hosts) {
            match word.strip_prefix('!') {
                Some(word) => guard.denied.push(rule(word)?),
                None => guard.allowed.push(rule(&word)?),
            }
        }
        Ok(guard)
    }

    /// The folder of live files.
    pub fn files(&self) -> Option<&std::path::Path> {
        self.files.as_deref()
    }

    /// What can be told without asking a name server, when a stream is set up.
    ///
    /// # Errors
    /// [`Kind::Forbidden`], `not-allowed`.
    pub fn check_early(&self, address: &Address) -> Result<()> {
        let scheme = address.scheme();
        if !self.schemes.contains(scheme) {
            return Err(refused(&format!("sources with {scheme}: are not allowed here (live.schemes)")));
        }
        match address.protocol() {
            Some(Protocol::File) if self.files.is_none() => {
                Err(refused("files are not allowed as sources here (live.files)"))
            }
            Some(Protocol::File) => Ok(()),
            // Nothing is sent: the address says where to listen.
            Some(Protocol::Udp) if address.port() < 1024 => {
                Err(refused("ports below 1024 are not listened on"))
            }
            Some(Protocol::Udp) => Ok(()),
            _ => match address.host().parse::<IpAddr>() {
                Ok(ip) if !self.allows_ip(ip) => Err(refused(HOST)),
                Err(_) if self.denies_name(address.host()) => Err(refused(HOST)),
                _ => Ok(()),
            },
        }
    }

    /// Whether the address may be opened now, with its name resolved. Every address of a name has to be allowed; they are
    /// returned, so that nothing else is opened than what was looked at. There are none where the name itself is allowed, or
    /// is no name.
    ///
    /// # Errors
    /// `not-allowed`, `dns`, or the token's.
    pub fn check(&self, address: &Address, limit: Duration, token: &Token) -> Result<Vec<IpAddr>> {
        self.check_early(address)?;
        if matches!(address.protocol(), Some(Protocol::File | Protocol::Udp)) {
            return Ok(Vec::new());
        }
        let host = address.host();
        if host.parse::<IpAddr>().is_ok() || self.allows_name(host) {
            return Ok(Vec::new());
        }
        let found = resolve(host, address.port(), limit, token)?;
        match found.iter().all(|it| self.allows_ip(it.ip())) {
            true => Ok(found.iter().map(SocketAddr::ip).collect()),
            false => Err(refused(HOST)),
        }
    }

    fn allows_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let holds = |rules: &[Rule]| {
            rules.iter().any(|rule| match rule {
                Rule::Group(group) => Group::of(ip) == *group,
                Rule::Net(net, bits) => inside(ip, *net, *bits),
                Rule::Name(_) => false,
            })
        };
        !holds(&self.denied) && holds(&self.allowed)
    }

    fn allows_name(&self, host: &str) -> bool {
        !self.denies_name(host) && named(&self.allowed, host)
    }

    fn denies_name(&self, host: &str) -> bool {
        named(&self.denied, host)
    }
}

const HOST: &str = "this host is not allowed as a source here (live.hosts)";

fn refused(why: &str) -> Error {
    Error::new(Kind::Forbidden, "not-allowed", why).with_parameter("source")
}

fn named(rules: &[Rule], host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    rules.iter().any(|rule| match rule {
        Rule::Name(name) if name.starts_with('.') => host.ends_with(name.as_str()),
        Rule::Name(name) => host == *name,
        _ => false,
    })
}

fn rule(word: &str) -> Result<Rule, String> {
    if let Some((_, group)) = Group::NAMES.iter().find(|(name, _)| *name == word) {
        return Ok(Rule::Group(*group));
    }
    let (ip, bits) = match word.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits)),
        None => (word, None),
    };
    match (ip.parse::<IpAddr>(), bits) {
        (Ok(ip), bits) => {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(most), str::parse).ok().filter(|it| *it <= most);
            bits.map(|bits| Rule::Net(ip, bits)).ok_or_else(|| format!("'{word}' is no network"))
        }
        (Err(_), None) if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) => {
            Ok(Rule::Name(word.trim_end_matches('.').to_owned()))
        }
        _ => Err(format!("'{word}' is no group, network or name of hosts")),
    }
}

fn inside(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, true),
        IpAddr::V6(ip) => (u128::from(ip), false),
    };
    let ((ip, four), (net, net_four)) = (number(ip), number(net));
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    four == net_four && ip & mask == net & mask
}

/// The addresses of a name. A name server that does not answer must not hold whoever stops a source, so it is asked on a
/// thread of its own, which ends by the resolver's own limits.
fn resolve(host: &str, port: u16, limit: Duration, token: &Token) -> Result<Vec<SocketAddr>> {
    const LOOK: Duration = Duration::from_millis(50);
    let failed = || Error::new(Kind::NotFound, "dns", "the name of the source's host is not known");
    let (give, get) = channel();
    let asked = (host.to_owned(), port);
    std::thread::Builder::new()
        .name("live-dns".into())
        .spawn(move || {
            let _ = give.send(asked.to_socket_addrs().map(|it| it.collect::<Vec<_>>()));
        })
        .map_err(|fault| Error::io("no thread could be started", &fault))?;
    let token = token.child_with_deadline(limit);
    loop {
        match get.recv_timeout(LOOK) {
            Ok(Ok(found)) if !found.is_empty() => return Ok(found),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return Err(failed()),
            Err(RecvTimeoutError::Timeout) => match token.check() {
                Ok(()) => {}
                Err(stop) if stop.kind == Kind::Deadline => return Err(failed()),
                Err(stop) => return Err(stop),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(hosts: &str, url: &str) -> bool {
        let schemes = "rtsp, rtsps, rtmp, srt, udp, http, https, file";
        let guard = Guard::new(schemes, hosts, PathBuf::from("/x")).unwrap();
        guard.check_early(&Address::parse(url).expect(url)).is_ok()
    }

    #[test]
    fn hosts_are_allowed_by_group_network_and_name() {
        let usual = "private, public, multicast";
        for (hosts, url, allowed) in [
            (usual, "rtsp://192.168.1.9/x", true),
            (usual, "rtsp://10.1.2.3/x", true),
            (usual, "rtsp://172.31.0.1/x", true),
            (usual, "rtsp://172.32.0.1/x", true),
            (usual, "rtsp://100.64.0.1/x", true),
            (usual, "rtsp://8.8.8.8/x", true),
            (usual, "rtsp://[fd00::1]/x", true),
            (usual, "rtsp://127.0.0.1/x", false),
            (usual, "rtsp://0.0.0.0/x", false),
            (usual, "rtsp://[::1]/x", false),
            (usual, "rtsp://[::ffff:127.0.0.1]/x", false),
            (usual, "http://169.254.169.254/latest/meta-data", false),
            (usual, "rtsp://[fe80::1]/x", false),
            (usual, "rtsp://255.255.255.255/x", false),
            ("loopback", "rtsp://127.0.0.1/x", true),
            ("loopback", "rtsp://8.8.8.8/x", false),
            ("10.1.0.0/16, !10.1.9.9", "rtsp://10.1.2.3/x", true),
            ("10.1.0.0/16, !10.1.9.9", "rtsp://10.1.9.9/x", false),
            ("10.1.0.0/16", "rtsp://10.2.0.1/x", false),
            ("public, !evil.example", "rtsp://evil.example/x", false),
            ("", "rtsp://8.8.8.8/x", false),
            // Nothing is sent there.
            (usual, "udp://127.0.0.1:5000", true),
            (usual, "udp://0.0.0.0:500", false),
        ] {
            assert_eq!(may(hosts, url), allowed, "{hosts}: {url}");
        }
    }

    #[test]
    fn names_are_resolved_before_they_are_opened() {
        let check = |hosts: &str, url: &str| {
            let guard = Guard::new("rtsp", hosts, PathBuf::new()).unwrap();
            let limit = Duration::from_secs(10);
            guard.check(&Address::parse(url).unwrap(), limit, &Token::root()).map_err(|it| it.code)
        };
        assert_eq!(check("private, public", "rtsp://localhost/x"), Err("not-allowed"));
        // Other ways to write 127.0.0.1, which resolvers know.
        for host in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1"] {
            assert_eq!(check("private, public", &format!("rtsp://{host}/x")), Err("not-allowed"), "{host}");
        }
        let found = check("loopback", "rtsp://localhost/x").unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
        assert_eq!(check("localhost", "rtsp://LOCALHOST/x"), Ok(Vec::new()));
        assert_eq!(check(".example", "rtsp://cam.example/x"), Ok(Vec::new()), "by its name, wherever it is");
        let stopped = Token::root();
        stopped.cancel();
        let guard = Guard::new("rtsp", "public", PathBuf::new()).unwrap();
        let address = Address::parse("rtsp://cam.invalid/x").unwrap();
        let left = guard.check(&address, Duration::from_secs(60), &stopped).unwrap_err();
        assert!(matches!(left.code, "cancelled" | "dns"));
    }

    #[test]
    fn schemes_and_files_are_off_unless_named() {
        let guard = Guard::new("rtsp, file", "public", PathBuf::new()).unwrap();
        let code = |url: &str| guard.check_early(&Address::parse(url).unwrap()).map_err(|it| it.code);
        assert_eq!(code("http://8.8.8.8/"), Err("not-allowed"));
        assert_eq!(code("file:x.ts"), Err("not-allowed"));
        for (schemes, hosts) in [("gopher", ""), ("", "10.0.0.0/40"), ("", "a b"), ("", "10.0.0.0/x")] {
            assert!(Guard::new(schemes, hosts, PathBuf::new()).is_err(), "{schemes} {hosts}");
        }
    }
}
