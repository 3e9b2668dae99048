//! An HTTP server that does what it should, but for what the test wants otherwise. It shares no code
//! with the client: the standard library only.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// None as long as only the head was read.
    pub body: Option<Vec<u8>>,
}

impl Ask {
    pub fn is(&self, method: &str) -> bool {
        self.method == method
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// About an object, and not about a probe.
    pub fn is_object(&self) -> bool {
        !self.path.contains(".stratus-probe")
    }

    /// The bytes of a request whose body was read.
    pub fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}

/// The objects, by their paths.
pub type Store = BTreeMap<String, Vec<u8>>;

/// What comes back instead.
pub enum Lie {
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// A status and a text.
    Status(u16, String),
    /// These bytes, and then the others for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then the others one at a time, with a pause before each.
    Trickle(Vec<u8>, Vec<u8>, Duration),
    /// These bytes, and then nothing, for ever.
    Stall(Vec<u8>),
    /// The connection is closed.
    Close,
}

pub type Hook = dyn Fn(&mut Ask, &mut Store) -> Option<Lie> + Send + Sync;

/// Runs until it is dropped.
pub struct Liar {
    pub port: u16,
    pub seen: Arc<Mutex<Vec<Ask>>>,
    pub store: Arc<Mutex<Store>>,
    end: Arc<AtomicBool>,
}

impl Liar {
    /// `hook` is asked for each request twice: when its head was read, and when its body was.
    pub fn new(hook: impl Fn(&mut Ask, &mut Store) -> Option<Lie> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let liar = Liar {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            store: Arc::default(),
            end: Arc::default(),
        };
        let hook: Arc<Hook> = Arc::new(hook);
        let (seen, store) = (Arc::clone(&liar.seen), Arc::clone(&liar.store));
        let end = Arc::clone(&liar.end);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (hook, seen) = (Arc::clone(&hook), Arc::clone(&seen));
                let (store, end) = (Arc::clone(&store), Arc::clone(&end));
                thread::spawn(move || {
                    let _ = serve(stream.unwrap(), &*hook, &seen, &store, &end);
                });
            }
        });
        liar
    }

    pub fn url(&self, path: &str) -> url::Url {
        url::Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    /// The requests so far: `PUT /x`.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|ask| format!("{} {}", ask.method, ask.path)).collect()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    stream: TcpStream,
    hook: &Hook,
    seen: &Mutex<Vec<Ask>>,
    store: &Mutex<Store>,
    end: &AtomicBool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut ask = head(&mut reader)?;
    let lie = hook(&mut ask, &mut store.lock().unwrap());
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(ask.clone());
        seen.len() - 1
    };
    if let Some(lie) = lie {
        return tell(&stream, lie, end);
    }
    let mut body = vec![0; ask.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    ask.body = Some(body);
    seen.lock().unwrap()[number].body.clone_from(&ask.body);
    let lie = hook(&mut ask, &mut store.lock().unwrap());
    let lie = lie.unwrap_or_else(|| Lie::Raw(honest(&ask, &mut store.lock().unwrap())));
    tell(&stream, lie, end)
}

fn head(reader: &mut impl BufRead) -> std::io::Result<Ask> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut word = || words.next().ok_or(std::io::ErrorKind::InvalidData);
    let (method, path) = (word()?, word()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Ok(Ask { method, path, headers, body: None })
}

fn tell(mut stream: &TcpStream, lie: Lie, end: &AtomicBool) -> std::io::Result<()> {
    match lie {
        Lie::Raw(bytes) => stream.write_all(&bytes)?,
        Lie::Status(status, text) => stream.write_all(&reply(status, "", text.as_bytes()))?,
        Lie::Endless(head, piece) => {
            stream.write_all(&head)?;
            while !end.load(Ordering::Relaxed) {
                stream.write_all(&piece)?;
            }
        }
        Lie::Trickle(head, bytes, pause) => {
            stream.write_all(&head)?;
            for byte in bytes {
                thread::sleep(pause);
                stream.write_all(&[byte])?;
            }
        }
        Lie::Stall(bytes) => {
            stream.write_all(&bytes)?;
            while !end.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Lie::Close => {}
    }
    Ok(())
}

/// A reply with its length.
pub fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// What a good server with WebDAV and partial `PUT` does.
pub fn honest(ask: &Ask, store: &mut Store) -> Vec<u8> {
    let path = ask.path.clone();
    match ask.method.as_str() {
        "MKCOL" => reply(405, "", b""),
        "OPTIONS" => reply(200, "", b""),
        "PUT" => {
            let new = !store.contains_key(&path);
            let object = store.entry(path).or_default();
            match ask.header("content-range").strip_prefix("bytes ") {
                None => *object = ask.bytes().to_vec(),
                Some(range) => {
                    let from: usize = range.split('-').next().unwrap().parse().unwrap();
                    let end = from + ask.bytes().len();
                    object.resize(object.len().max(end), 0);
                    object[from..end].copy_from_slice(ask.bytes());
                }
            }
            reply(if new { 201 } else { 204 }, "", b"")
        }
        "DELETE" => reply(if store.remove(&path).is_some() { 204 } else { 404 }, "", b""),
        "MOVE" => {
            let to = ask.header("destination");
            let to = to.split_once("://").map_or(to, |(_, rest)| &rest[rest.find('/').unwrap()..]);
            if ask.header("overwrite") == "F" && store.contains_key(to) {
                return reply(412, "", b"");
            }
            match store.remove(&path) {
                Some(object) => {
                    store.insert(to.to_owned(), object);
                    reply(201, "", b"")
                }
                None => reply(404, "", b""),
            }
        }
        "GET" | "HEAD" => {
            let Some(object) = store.get(&path) else { return reply(404, "", b"nothing here") };
            let mut answer = match ask.header("range").strip_prefix("bytes=") {
                None => reply(200, "", object),
                Some(range) => ranged(range, object),
            };
            if ask.method == "HEAD" {
                let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
                answer.truncate(end + 4);
            }
            answer
        }
        _ => reply(501, "", b""),
    }
}

fn ranged(range: &str, object: &[u8]) -> Vec<u8> {
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    if first >= object.len() {
        return reply(416, "", b"");
    }
    let last = last.parse().map_or(object.len() - 1, |last: usize| last.min(object.len() - 1));
    let header = format!("Content-Range: bytes {first}-{last}/{}\r\n", object.len());
    reply(206, &header, &object[first..=last])
}
