//! The stand-in for a marketplace (`tests/marketplace/server.py`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use super::{Plan, Server, which};

pub struct Market {
    server: Server,
}

impl Market {
    pub fn start(options: &[&str]) -> Self {
        which("xmlsec1", "xmlsec1");
        which("openssl", "openssl");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/marketplace/server.py");
        let plan = Plan {
            program: "python3",
            package: "python3",
            folders: &[],
            room: None,
            configure: &|folder, port, _| {
                let words = [&script.to_string_lossy(), "--data", &folder.to_string_lossy()];
                let words = words.into_iter().map(str::to_owned);
                let port = ["--port".to_owned(), port.to_string()];
                words.chain(port).chain(options.iter().map(|o| (*o).to_owned())).collect()
            },
        };
        Market { server: plan.start() }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        ask(self.server.port, method, path, body)
    }

    /// Asks for a fault of the stand-in's table.
    pub fn fault(&self, name: &str, times: u32) {
        assert_eq!(self.ask("POST", &format!("/_fault/{name}/{times}"), b"").0, 200, "{name}");
    }

    fn counts(&self) -> serde_json::Value {
        serde_json::from_str(&self.ask("GET", "/_counts", b"").1).unwrap()
    }

    /// How many uploads came.
    pub fn uploads(&self) -> u64 {
        self.counts()["uploads"].as_u64().unwrap()
    }

    /// How many of them were stored.
    pub fn stored(&self) -> u64 {
        self.counts()["stored"].as_u64().unwrap()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.server.folder.path()
    }

    /// Follows the link of every mail.
    pub fn confirm(&self) {
        for key in self.counts()["pending"].as_array().unwrap() {
            let path = format!("/action/{}/confirm", key.as_str().unwrap());
            assert_eq!(self.ask("GET", &path, b"").0, 201);
        }
    }

    /// What it has: IDENTIFIER/EMAIL/CREATED.xml, and the document.
    pub fn entries(&self) -> BTreeMap<String, Vec<u8>> {
        let root = self.server.folder.path().join("metadata");
        let (mut found, mut folders) = (BTreeMap::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }
}

/// A request by hand: status and body.
pub fn ask(port: u16, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: application/xml\r\n\
         Content-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    (status, reply.split_once("\r\n\r\n").unwrap().1.to_owned())
}
