//! Real servers for the tests: each in a folder of its own, at a free port of the loopback, ended
//! with the test. A server that is not installed is an error.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod apache;
pub mod lighttpd;
pub mod market;
pub mod nginx;
pub mod tls;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use url::Url;

/// A server that runs.
pub struct Server {
    pub folder: TempDir,
    pub port: u16,
    /// The port for TLS, where there is one.
    pub tls_port: u16,
    process: Child,
}

impl Server {
    /// Where the objects are: `www` in its folder. With a small file system only the server sees it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("www")
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}/{path}", self.port)).unwrap()
    }

    pub fn tls_url(&self, path: &str) -> Url {
        Url::parse(&format!("https://localhost:{}/{path}", self.tls_port)).unwrap()
    }

    /// All names below `www`, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => names.push(name_below(&self.root(), &entry.path())),
                }
            }
        }
        names.sort();
        names
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("error.log") + &read("access.log") + &read("output")
    }

    pub fn stop(&mut self) {
        let Ok(id) = i32::try_from(self.process.id()) else { return };
        if matches!(self.process.try_wait(), Ok(None)) {
            if let Some(id) = rustix::process::Pid::from_raw(id) {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            }
            let _ = self.process.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn name_below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
}

/// What a server is started with.
pub struct Plan<'a> {
    /// Its program, and the package that has it.
    pub program: &'a str,
    pub package: &'a str,
    /// Folders that it writes to.
    pub folders: &'a [&'a str],
    /// If there is one: the size in bytes of the file system that holds `www`.
    pub room: Option<u64>,
    /// Writes the configuration, and tells the arguments.
    pub configure: &'a dyn Fn(&Path, u16, u16) -> Vec<String>,
}

impl Plan<'_> {
    /// Starts it, at other ports if somebody was faster.
    pub fn start(&self) -> Server {
        for _ in 0..5 {
            if let Some(server) = self.try_start() {
                return server;
            }
        }
        panic!("{} does not start", self.program);
    }

    fn try_start(&self) -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        for name in self.folders.iter().chain(&["www"]) {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            open_to_all(&path);
        }
        let [port, tls_port] = [free_port(), free_port()];
        let arguments = (self.configure)(folder.path(), port, tls_port);
        let program = which(self.program, self.package);
        let output = fs::File::create(folder.path().join("output")).unwrap();
        let mut command = match self.room {
            None => Command::new("setpriv"),
            // A mount that only the server sees, and that goes away with it.
            Some(room) => {
                let mut command = Command::new("unshare");
                if !rustix::process::geteuid().is_root() {
                    command.args(["--user", "--map-root-user"]);
                }
                let mount =
                    "mount -t tmpfs -o size=$1,mode=777 tmpfs \"$2\" && shift 2 && exec \"$@\"";
                command.args(["--mount", "sh", "-c", mount, "sh", &room.to_string()]);
                command.arg(folder.path().join("www")).arg("setpriv");
                command
            }
        };
        // If the test is killed, the server ends with it.
        command.args(["--pdeathsig", "TERM"]).arg(program).args(arguments).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let process = command.spawn().unwrap();
        let mut server = Server { folder, port, tls_port, process };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} did not start: {}", self.program, server.log());
        None
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program in the usual places.
pub fn which(program: &str, package: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|place| Path::new(place).join(program)).find(|p| p.exists());
    found.unwrap_or_else(|| {
        panic!("{program} is missing: apt-get install --no-install-recommends {package}")
    })
}

/// The user that Apache may run as.
fn user() -> (String, String) {
    if rustix::process::geteuid().is_root() {
        return ("www-data".into(), "www-data".into());
    }
    let id = |flag| {
        let output = Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    (id("-un"), id("-gn"))
}

/// The user and the password of every place that wants one.
pub const USER: &str = "test";
pub const PASSWORD: &str = "geheim-7Q";
