//! The way to a server: proxies, limits, stopping, what is repeated and what is not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use stratus::control::{Control, Event};
use stratus::error::Kind;
use stratus::publish::dav::DavTarget;
use stratus::publish::http::{Body, Client, Request, Retries, Transport};
use stratus::publish::{Content, Found, Object, Target};
use url::Url;

use super::liar::{Liar, Lie, reply};
use super::servers::{PASSWORD, USER, nginx};
use super::targets::{KEEP, Kept, OWNER, Sample, noise, watched};
use super::{transport, with_login};

const CHILD: &str = "STRATUS_TEST_WAY_CHILD";

/// A proxy that leads every name to one port. It remembers the first lines and the logins.
struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let seen = Arc::clone(&proxy.seen);
        thread::spawn(move || {
            for client in listener.incoming() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || lead(client.unwrap(), to, &seen));
            }
        });
        proxy
    }
}

fn lead(mut client: TcpStream, to: u16, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, rest) = head.split_once("\r\n").unwrap();
    let login = rest.lines().find(|l| l.to_ascii_lowercase().starts_with("proxy-authorization"));
    seen.lock().unwrap().push(format!("{line} {}", login.unwrap_or("")));
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    if words[0] == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    } else {
        let path = words[1].splitn(4, '/').nth(3).unwrap();
        write!(server, "{} /{path} {}\r\n{rest}", words[0], words[2]).unwrap();
    }
    let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut server);
        let _ = server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut back, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

/// Does nothing, unless it is the child: stores a file as its variable says, and tells everything.
#[test]
fn child() {
    let Ok(words) = std::env::var(CHILD) else { return };
    let [url, bytes, ca_file]: [&str; 3] = words.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let url = Url::parse(url).unwrap();
    let mut transport = with_login(&url);
    transport.ca_file = (!ca_file.is_empty()).then(|| ca_file.into());
    let target = DavTarget::new(&url, &transport).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let file = File::create(&path).unwrap();
    let bytes: u64 = bytes.parse().unwrap();
    file.set_len(bytes).unwrap();
    let mut hasher = Sha256::new();
    (0..bytes >> 20).for_each(|_| hasher.update([0; 1 << 20]));
    let mut sha256 = String::new();
    hasher.finalize().iter().for_each(|byte| write!(sha256, "{byte:02x}").unwrap());
    let object = Object { name: "x.img", content: Content::File(&path), bytes, sha256: &sha256 };
    let (control, events) = watched(None);
    let stored = target.store(&object, KEEP, &mut Kept::default(), &control);
    for event in events.lock().unwrap().iter() {
        if let Event::Warn(text) | Event::Note(text) = event {
            println!("told: {text}");
        }
    }
    println!("{stored:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    stored.unwrap();
}

fn run(url: &Url, bytes: u64, ca_file: &str, variables: &[(&str, String)]) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["way::child", "--exact", "--nocapture"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env(CHILD, format!("{url} {bytes} {ca_file}")).envs(variables.iter().cloned());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains(PASSWORD) && !text.contains("proxy-word"), "{text}");
    (output.status.success(), text)
}

#[test]
fn the_proxies_of_the_environment_are_used() {
    let liar = Liar::new(|ask, _| {
        let asks = "WWW-Authenticate: Basic realm=\"x\"\r\n";
        let wants = ask.header("authorization").is_empty() && ask.body.is_some();
        wants.then(|| Lie::Raw(reply(401, asks, b"")))
    });
    let proxy = Proxy::new(liar.port);
    let with = |login: &str| format!("http://{login}127.0.0.1:{}", proxy.port);
    let seen = || std::mem::take(&mut *proxy.seen.lock().unwrap());
    let url = Url::parse("http://repository.example/r/").unwrap();

    let (fine, told) = run(&url, 1 << 20, "", &[("http_proxy", with("u:proxy-word@"))]);
    assert!(fine, "{told}");
    assert!(told.contains("without encryption"), "{told}");
    let lines = seen();
    let all = lines.iter().all(|line| {
        line.contains("http://repository.example/r/") && line.contains("dTpwcm94eS13b3Jk")
    });
    assert!(all && lines.len() > 5, "{lines:?}");

    let (fine, told) = run(&liar.url("/s/"), 1 << 20, "", &[("all_proxy", with(""))]);
    assert!(fine && !told.contains("without encryption"), "{told}");
    assert!(!seen().is_empty());
    let excepted = [("all_proxy", with("")), ("no_proxy", "localhost,127.0.0.1".to_owned())];
    let (fine, told) = run(&liar.url("/t/"), 1 << 20, "", &excepted);
    assert!(fine, "{told}");
    assert_eq!(seen(), Vec::<String>::new());

    // A proxy that is not there, with a password that nobody must see.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (fine, told) = run(&url, 0, "", &[("http_proxy", format!("http://u:proxy-word@{gone}"))]);
    assert!(!fine && told.contains("refused"), "{told}");
}

#[test]
fn a_proxy_is_a_tunnel_for_tls() {
    use super::servers::apache;
    let server = apache::start(apache::Options { tls: true, ..Default::default() });
    let proxy = Proxy::new(server.tls_port);
    let ca_file = server.folder.path().join("ca.pem");
    let variable = ("https_proxy", format!("http://127.0.0.1:{}", proxy.port));
    let url = server.tls_url("open/x");
    let (fine, told) = run(&url, 1 << 20, &ca_file.to_string_lossy(), &[variable]);
    assert!(fine, "{told}");
    let lines = proxy.seen.lock().unwrap();
    assert!(lines.iter().all(|line| line.starts_with("CONNECT localhost:")), "{lines:?}");
}

/// A machine without trusted certificates can still reach what needs none.
#[test]
fn without_certificates_of_the_system() {
    let none = [("SSL_CERT_FILE", "/no/such/file".into()), ("SSL_CERT_DIR", "/no/such".into())];
    let liar = Liar::new(|_, _| None);
    let (fine, told) = run(&liar.url("/r/"), 1 << 20, "", &none);
    assert!(fine, "{told}");
    let (fine, told) = run(&Url::parse("https://localhost:1/").unwrap(), 0, "", &none);
    assert!(!fine && told.contains("refused"), "{told}");
}

#[test]
fn a_large_object_needs_little_memory() {
    let server = nginx::start(None);
    let (fine, told) = run(&server.url("open/x"), 256 << 20, "", &[]);
    assert!(fine, "{told}");
    let line = told.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 100 << 10, "{line}");
}

fn client(transport: &Transport) -> Client {
    Client::new(transport).unwrap()
}

#[test]
fn what_must_not_be_repeated_is_not() {
    for close in [true, false] {
        let liar = Liar::new(move |ask, _| {
            ask.body.as_ref().map(|_| match close {
                true => Lie::Close,
                false => Lie::Raw(reply(503, "", b"later")),
            })
        });
        let url = liar.url("/x");
        let client = client(&transport());
        let control = Control::default();
        for (method, times) in [("POST", 1), ("MOVE", 1), ("GET", 5), ("PUT", 5), ("DELETE", 5)] {
            liar.seen.lock().unwrap().clear();
            let request = Request::new(method, &url).body(Body::Bytes(b"abc"));
            let outcome = client.send(&request, &control);
            assert_eq!(outcome.is_err(), close, "{method}");
            assert!(outcome.is_ok_and(|reply| reply.said == "later") != close);
            assert_eq!(liar.lines().len(), times, "{method}");
            liar.seen.lock().unwrap().clear();
            assert_eq!(client.once(&request, &control).is_err(), close);
            assert_eq!(liar.lines().len(), 1, "{method}");
        }
    }
}

/// Every request that changes something there is in the plan, and the plan asks nothing.
#[test]
fn the_plan_announces_every_request() {
    for no_move in [false, true] {
        let liar = Liar::new(move |ask, _| {
            let refuses = no_move && ask.is("MOVE") && ask.body.is_some();
            refuses.then(|| Lie::Status(501, String::new()))
        });
        let target = DavTarget::new(&liar.url("/r/"), &transport()).unwrap();
        let sample = Sample::new("a/x.img.gz", noise(4, 1000));
        let object = sample.object();
        let plan = target.plan(&object, KEEP, Found::Nothing).join("\n");
        assert_eq!(liar.lines(), Vec::<String>::new());
        target.store(&object, KEEP, &mut Kept::default(), &Control::default()).unwrap();
        for line in liar.lines().iter().filter(|line| !line.starts_with("HEAD")) {
            let (method, path) = line.split_once(' ').unwrap();
            let path = path.replace(OWNER, "…");
            let is_it = |line: &&str| line.contains(method) && line.contains(&path);
            assert!(plan.lines().any(|line| is_it(&line)), "{method} {path} is not in\n{plan}");
        }
        let puts = liar.lines().iter().filter(|line| line.starts_with("PUT")).count();
        assert!(puts >= 3, "{:?}", liar.lines());
    }
}

#[test]
fn the_program_tells_its_name_and_nothing_else() {
    let liar = Liar::new(|_, _| None);
    let url = liar.url("/x");
    let request = Request::new("PUT", &url).body(Body::Empty);
    client(&with_login(&url)).send(&request, &Control::default()).unwrap();
    let seen = liar.seen.lock().unwrap();
    let expected = ["accept", "content-length", "host", "user-agent"];
    assert_eq!(seen[0].headers.keys().collect::<Vec<_>>(), expected);
    let name = concat!("stratus-publish/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen[0].header("user-agent"), name);
    assert_eq!(seen[0].header("content-length"), "0");
}

#[test]
fn a_long_reply_comes_in_pieces_and_no_more_than_was_asked_for() {
    let bytes = noise(1, 1_000_000);
    let (whole, ranges) = (bytes.clone(), noise(1, 1_000_000));
    let liar = Liar::new(move |ask, store| {
        store.insert("/x".into(), whole.clone());
        if ask.path == "/x" && ask.header("x-ignore") == "yes" {
            ask.headers.remove("range");
        }
        None
    });
    let url = liar.url("/x");
    let client = client(&transport());
    for ignored in ["no", "yes"] {
        for range in
            [None, Some((0, 10)), Some((5, 1)), Some((999_990, 100)), Some((300_000, 1 << 18))]
        {
            let mut request = Request::new("GET", &url).header("x-ignore", ignored);
            (request.range, request.max_reply) = (range, 1_000_000);
            let mut read = Vec::new();
            let mut sink = |piece: &[u8]| {
                read.extend_from_slice(piece);
                Ok(())
            };
            client.read(&request, &Control::default(), &mut sink).unwrap();
            let (from, len) = range.unwrap_or((0, 1_000_000));
            let end = (from + len).min(1_000_000) as usize;
            assert!(read == ranges[from as usize..end], "{ignored} {range:?}: {}", read.len());
        }
    }
    let mut request = Request::new("GET", &url);
    request.max_reply = 999_999;
    let error = client.send(&request, &Control::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
}

#[test]
fn a_limit_is_kept_and_a_wish_to_stop_is_heard() {
    let liar = Liar::new(|ask, _| match ask.path.as_str() {
        "/stall" => Some(Lie::Stall(vec![])),
        "/busy" => ask.body.as_ref().map(|_| Lie::Raw(reply(503, "Retry-After: 9999\r\n", b""))),
        _ => None,
    });
    let limited = Transport { limit: Some(1 << 20), retries: Retries::Infinite, ..transport() };
    let client = client(&limited);
    let bytes = noise(2, 1 << 20);
    let url = liar.url("/x");
    let begin = Instant::now();
    let request = Request::new("PUT", &url).body(Body::Bytes(&bytes));
    client.send(&request, &Control::default()).unwrap();
    let took = begin.elapsed().as_secs_f64();
    assert!((0.7..2.5).contains(&took), "{took}");
    for path in ["/x", "/stall", "/busy"] {
        let control = Arc::new(Control::default());
        let stop = Arc::clone(&control.stop);
        let stopper = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            stop.store(2, Ordering::Relaxed);
            Instant::now()
        });
        let url = liar.url(path);
        let request = Request::new("PUT", &url).body(Body::Bytes(&bytes));
        let body = if path == "/x" { request } else { Request::new("GET", &url) };
        let error = client.send(&body, &control).unwrap_err();
        let late = stopper.join().unwrap().elapsed();
        assert_eq!(error.kind(), Kind::Interrupted(2), "{path}");
        assert!(late < Duration::from_millis(250), "{path}: {late:?}");
    }
}

/// Checked by hand from RFC 7616 §3.4.1, not with the client's code.
#[test]
fn digest_with_sha256() {
    let hash = |text: String| {
        Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    };
    let used = Mutex::new(Vec::new());
    let liar = Liar::new(move |ask, _| {
        ask.body.as_ref()?;
        let asks = |stale: &str| {
            let md5 = "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\", qop=\"auth\"\r\n";
            let sha = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n,1\", qop=\"auth\", \
                       algorithm=SHA-256, opaque=\"o\"";
            Some(Lie::Raw(reply(401, &format!("{md5}{sha}{stale}\r\n"), b"")))
        };
        let Some(given) = ask.header("authorization").strip_prefix("Digest ") else {
            return asks("");
        };
        let fields: BTreeMap<_, _> = given
            .split(", ")
            .map(|field| field.split_once('=').unwrap())
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let (nc, cnonce) = (fields["nc"], fields["cnonce"]);
        let secret = hash(format!("{USER}:r:{PASSWORD}"));
        let request = hash(format!("{}:{}", ask.method, ask.path));
        let right = hash(format!("{secret}:n,1:{nc}:{cnonce}:auth:{request}"));
        let mut used = used.lock().unwrap();
        let fresh = !used.contains(&nc.to_owned());
        used.push(nc.to_owned());
        let fields_right =
            fields["uri"] == ask.path && fields["opaque"] == "o" && cnonce.len() > 15;
        if fields["response"] == right && fresh && fields_right { None } else { asks("") }
    });
    let url = liar.url("/r/");
    let target = DavTarget::new(&url, &with_login(&url)).unwrap();
    let sample = Sample::new("x y.img.gz", noise(3, 100_000));
    target.store(&sample.object(), KEEP, &mut Kept::default(), &Control::default()).unwrap();
    let seen = liar.seen.lock().unwrap();
    let refused = seen.iter().filter(|ask| ask.header("authorization").is_empty()).count();
    assert_eq!(refused, 1, "the challenge is learned once");
}
