//! What every target promises, asked of each server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use stratus::publish::dav::DavTarget;
use stratus::publish::http::Transport;
use stratus::publish::{Object, Target};
use url::Url;

use super::servers::{Server, apache, lighttpd, nginx, tls};
use super::targets::{self, Place};
use super::{full, transport, with_login};

/// A collection of a server.
pub struct Dav<'a> {
    server: &'a Server,
    url: Url,
    transport: Transport,
    /// Its folder below `www`.
    folder: String,
    continues: bool,
}

impl<'a> Dav<'a> {
    pub fn new(server: &'a Server, url: Url, mut transport: Transport, continues: bool) -> Self {
        if !continues {
            // So slow that it can be stopped in the middle.
            transport.limit = Some(24 << 20);
        }
        let folder = url.path().split('/').next_back().unwrap().to_owned();
        Dav { server, url, transport, folder, continues }
    }

    /// The folder is another one than the path says.
    fn below(mut self, folder: &str) -> Self {
        self.folder = format!("{folder}/{}", self.folder);
        self
    }
}

impl Place for Dav<'_> {
    fn target(&self) -> Box<dyn Target> {
        Box::new(DavTarget::new(&self.url, &self.transport).unwrap().with_pieces(1 << 20))
    }

    fn names(&self) -> Option<Vec<String>> {
        let prefix = format!("{}/", self.folder);
        let names = self.server.names();
        // Apache keeps properties there.
        let ours = names.into_iter().filter(|n| n.starts_with(&prefix) && !n.contains("/.DAV/"));
        Some(ours.collect())
    }

    fn continues(&self) -> bool {
        self.continues
    }

    fn leave(&self, object: &Object, bytes: &[u8]) -> bool {
        let path = self.server.root().join(&self.folder).join(object.name);
        let part = path.with_file_name(targets::part_name(object));
        // As the server would have made it: it may write to it, and to all folders.
        let mut missing: Vec<_> = path.ancestors().skip(1).take_while(|p| !p.exists()).collect();
        while let Some(folder) = missing.pop() {
            fs::create_dir(folder).unwrap();
            fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let _ = fs::remove_file(&part);
        fs::write(&part, bytes).unwrap();
        fs::set_permissions(part, PermissionsExt::from_mode(0o666)).unwrap();
        true
    }
}

#[test]
fn apache_keeps_all_promises() {
    let server = apache::start(apache::Options::default());
    let open = server.url("open/new/repository");
    targets::suite(&Dav::new(&server, open, transport(), true).below("new"));
    let logins = if full() { &["basic", "digest", "writers"][..] } else { &["writers"] };
    for name in logins {
        let url = server.url(&format!("{name}/of-{name}"));
        let transport = with_login(&url);
        targets::suite(&Dav::new(&server, url, transport, true));
    }
}

#[test]
fn apache_with_client_certificates_keeps_all_promises() {
    let server = apache::start(apache::Options { tls: true, client_certificate: true, room: None });
    let folder = server.folder.path();
    let both = tls::joined(folder, "client");
    let mut kinds = vec![(folder.join("client.pem"), "two-files")];
    kinds.extend(full().then_some((both, "one-file")));
    for (client, name) in kinds {
        let url = server.tls_url(&format!("open/{name}"));
        let ca_file = Some(folder.join("ca.pem"));
        let transport = Transport { ca_file, client_cert: Some(client), ..transport() };
        targets::suite(&Dav::new(&server, url, transport, true));
    }
}

#[test]
fn nginx_keeps_all_promises() {
    let server = nginx::start(None);
    let url = server.url("open/new/repository");
    targets::suite(&Dav::new(&server, url, transport(), false).below("new"));
    if full() {
        let url = server.url("basic/of-basic");
        let transport = with_login(&url);
        targets::suite(&Dav::new(&server, url, transport, false));
    }
}

#[test]
fn lighttpd_keeps_all_promises() {
    let server = lighttpd::start(None);
    let url = server.url("open/new");
    targets::suite(&Dav::new(&server, url, transport(), true).below("open"));
    let url = server.url("nopart/new");
    targets::suite(&Dav::new(&server, url, transport(), false).below("nopart"));
    if full() {
        let url = server.url("basic/new");
        let transport = with_login(&url);
        targets::suite(&Dav::new(&server, url, transport, false).below("basic"));
    }
}
