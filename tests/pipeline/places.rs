//! The repositories, each with what its user has to say to get there.

use crate::servers::{Server, apache, lighttpd, nginx, tls};

pub struct Place {
    pub server: Server,
    /// The path of the URL.
    pub path: &'static str,
    /// The folder of `path` below `www`.
    pub folder: &'static str,
    pub tls: bool,
    pub args: Vec<String>,
}

impl Place {
    fn new(server: Server, path: &'static str, folder: &'static str) -> Self {
        Place { server, path, folder, tls: false, args: Vec::new() }
    }

    pub fn url(&self) -> String {
        match self.tls {
            true => self.server.tls_url(self.path).to_string(),
            false => self.server.url(self.path).to_string(),
        }
    }

    /// All names that are there. Apache keeps properties of its own in `.DAV`.
    pub fn names(&self) -> Vec<String> {
        let prefix = format!("{}/", self.folder);
        let names = self.server.names().into_iter().filter(|name| !name.contains(".DAV/"));
        names.filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned)).collect()
    }

    pub fn path_of(&self, name: &str) -> std::path::PathBuf {
        self.server.root().join(self.folder).join(name)
    }

    /// Nothing unfinished, and nothing to try things with.
    #[track_caller]
    pub fn is_clean(&self) {
        let left: Vec<_> = self.server.names().into_iter().filter(|name| is_ours(name)).collect();
        assert!(left.is_empty(), "{}: {left:?}", self.path);
    }
}

fn is_ours(name: &str) -> bool {
    name.ends_with(".part") || name.contains("stratus-probe")
}

pub fn apache(path: &'static str) -> Place {
    Place::new(apache::start(apache::Options::default()), path, "x")
}

fn apache_tls(client_certificate: bool) -> Place {
    let options = apache::Options { tls: true, client_certificate, ..Default::default() };
    let server = apache::start(options);
    let file = |name: &str| server.folder.path().join(name).display().to_string();
    let mut args = vec!["--ca-file".to_owned(), file("ca.pem")];
    if client_certificate {
        tls::joined(server.folder.path(), "client");
        args.extend(["--client-cert".to_owned(), file("client-both.pem")]);
    }
    Place { tls: true, args, ..Place::new(server, "open/x", "x") }
}

pub fn nginx(path: &'static str) -> Place {
    Place::new(nginx::start(None), path, "x")
}

/// Takes parts, or not.
pub fn lighttpd(parts: bool) -> Place {
    let path = if parts { "open/x" } else { "nopart/x" };
    Place::new(lighttpd::start(None), path, path)
}

/// One of each kind.
pub fn all() -> Vec<fn() -> Place> {
    vec![
        || apache("open/x"),
        || apache("basic/x"),
        || apache("digest/x"),
        || apache_tls(false),
        || apache_tls(true),
        || nginx("open/x"),
        || lighttpd(true),
        || lighttpd(false),
    ]
}
