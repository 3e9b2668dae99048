//! Apache with mod_dav. `/open/`, `/basic/`, `/digest/`, `/short/` (Digest with nonces that live for
//! a second), `/listed/` (folders are shown, also without a slash) and `/writers/` (Digest, but reading is free) are the same folder; the port for TLS has `/open/`, and wants a client certificate of `ca.pem` for
//! the whole virtual host if asked to.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{PASSWORD, Plan, Server, USER, tls, user};

const MODULES: &str = "/usr/lib/apache2/modules";
const NAMES: &str = "mpm_event authn_core authz_core authn_file authz_user auth_basic auth_digest \
                     alias autoindex dav dav_fs ssl";

/// What is special.
#[derive(Clone, Copy, Default)]
pub struct Options {
    pub tls: bool,
    pub client_certificate: bool,
    pub room: Option<u64>,
}

pub fn start(options: Options) -> Server {
    start_with(options, &|_| ())
}

/// With something changed in its folder before it starts.
pub fn start_with(options: Options, change: &dyn Fn(&Path)) -> Server {
    let plan = Plan {
        program: "apache2",
        package: "apache2-bin",
        folders: &["lock"],
        room: options.room,
        configure: &|folder, port, tls_port| {
            fs::write(folder.join("conf"), text(folder, port, tls_port, options)).unwrap();
            passwords(folder);
            change(folder);
            let conf = folder.join("conf").to_string_lossy().into_owned();
            ["-D", "FOREGROUND", "-f", &conf].map(str::to_owned).to_vec()
        },
    };
    plan.start()
}

fn passwords(folder: &Path) {
    let hash = |text: String| {
        use md5::{Digest, Md5};
        Md5::digest(text).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    };
    let digest = hash(format!("{USER}:appliances:{PASSWORD}"));
    fs::write(folder.join("digest.pw"), format!("{USER}:appliances:{digest}\n")).unwrap();
    // The form that every Apache knows without a tool: {SHA} and base64.
    use base64ct::{Base64, Encoding};
    use sha1::{Digest, Sha1};
    let sha1 = Base64::encode_string(&Sha1::digest(PASSWORD));
    fs::write(folder.join("basic.pw"), format!("{USER}:{{SHA}}{sha1}\n")).unwrap();
}

fn text(folder: &Path, port: u16, tls_port: u16, options: Options) -> String {
    let place = folder.display();
    let (user, group) = user();
    let mut text = format!(
        "ServerRoot {place}\nServerName localhost\nPidFile {place}/pid\nErrorLog {place}/error.log\n\
         LogLevel warn\nDefaultRuntimeDir {place}\nMutex file:{place}/lock default\n\
         Listen 127.0.0.1:{port}\nDocumentRoot {place}/www\n"
    );
    for name in NAMES.split_whitespace() {
        writeln!(text, "LoadModule {name}_module {MODULES}/mod_{name}.so").unwrap();
    }
    write!(
        text,
        "User {user}\nGroup {group}\nDavLockDB {place}/lock/dav\nLimitRequestBody 0\n\
         LogFormat \"%m %U %s range=%{{Content-Range}}i auth=%{{Authorization}}i\" short\n\
         CustomLog {place}/access.log short\n\
         StartServers 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nServerLimit 1\n"
    )
    .unwrap();
    for name in ["open", "basic", "digest", "short", "listed", "writers"] {
        writeln!(text, "Alias /{name} {place}/www").unwrap();
    }
    let login = |kind: &str, more: &str| {
        format!("AuthType {kind}\nAuthName appliances\nAuthUserFile {place}/{more}\n")
    };
    let basic = login("Basic", "basic.pw");
    let digest = login("Digest", "digest.pw\nAuthDigestProvider file");
    write!(
        text,
        "<Location /open>\nDav On\nRequire all granted\n</Location>\n\
         <Location /listed>\nDav On\nOptions Indexes\nRequire all granted\n</Location>\n\
         <Location /basic>\nDav On\n{basic}Require valid-user\n</Location>\n\
         <Location /digest>\nDav On\n{digest}Require valid-user\n</Location>\n\
         <Location /short>\nDav On\n{digest}AuthDigestNonceLifetime 1\nRequire valid-user\n\
         </Location>\n\
         <Location /writers>\nDav On\n{digest}<LimitExcept GET HEAD OPTIONS>\nRequire valid-user\n\
         </LimitExcept>\n</Location>\n"
    )
    .unwrap();
    if options.tls {
        tls::certificates(folder);
        let client = if options.client_certificate {
            "SSLVerifyClient require\nSSLVerifyDepth 1\n"
        } else {
            ""
        };
        write!(
            text,
            "Listen 127.0.0.1:{tls_port}\n<VirtualHost 127.0.0.1:{tls_port}>\nSSLEngine on\n\
             SSLCertificateFile {place}/server.pem\nSSLCertificateKeyFile {place}/server.key\n\
             SSLCACertificateFile {place}/ca.pem\n{client}</VirtualHost>\n"
        )
        .unwrap();
    }
    text
}
