//! A TCP proxy that cuts connections where the test wants. It looks at the bytes only as far as it
//! must to know where a body begins.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Which connections are cut, and where.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Only bodies of at least so many bytes count.
    pub least: u64,
    /// So many bytes of the body pass, in tenths of a percent of its length.
    pub permille: u64,
    /// How often. Then all passes.
    pub times: usize,
    /// The body of a reply is cut, and not that of a request.
    pub reply: bool,
}

/// Runs until it is dropped.
pub struct Cutter {
    pub port: u16,
    cuts: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
}

impl Cutter {
    pub fn new(to: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, end) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, ended) = (Arc::clone(&cuts), Arc::clone(&end));
        thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to)))
                else {
                    continue;
                };
                pass(client, server, cut, &counted);
            }
        });
        Cutter { port, cuts, end }
    }

    /// How often it has cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pass(client: TcpStream, server: TcpStream, cut: Cut, cuts: &Arc<AtomicUsize>) {
    let both = Arc::new([client, server]);
    // Set when the body has come to its cut: the other direction passes nothing any more.
    let closed = Arc::new(Mutex::new(false));
    for (from, counts) in [(0, !cut.reply), (1, cut.reply)] {
        let (both, closed, cuts) = (Arc::clone(&both), Arc::clone(&closed), Arc::clone(cuts));
        thread::spawn(move || {
            let mut watch = Watch { cut, head: Vec::new(), left: None };
            let mut buffer = vec![0; 16 << 10];
            while let Ok(len @ 1..) = (&both[from]).read(&mut buffer) {
                let allowed = if counts { watch.allow(&buffer[..len]) } else { len };
                let mut closed = closed.lock().unwrap();
                let cut_here = !*closed
                    && counts
                    && (allowed < len || watch.left == Some(0))
                    && cuts
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                            (n < cut.times).then_some(n + 1)
                        })
                        .is_ok();
                if *closed {
                    break;
                }
                if cut_here {
                    let _ = (&both[1 - from]).write_all(&buffer[..allowed]);
                    *closed = true;
                    break;
                }
                if counts && (allowed < len || watch.left == Some(0)) {
                    watch.left = Some(u64::MAX);
                }
                drop(closed);
                if (&both[1 - from]).write_all(&buffer[..len]).is_err() {
                    break;
                }
            }
            if *closed.lock().unwrap() {
                let _ = both[0].shutdown(Shutdown::Both);
                let _ = both[1].shutdown(Shutdown::Both);
            } else {
                let _ = both[1 - from].shutdown(Shutdown::Write);
            }
        });
    }
}

/// Knows how much of a body may still pass.
struct Watch {
    cut: Cut,
    head: Vec<u8>,
    left: Option<u64>,
}

impl Watch {
    /// How many of these bytes may pass before the cut.
    fn allow(&mut self, bytes: &[u8]) -> usize {
        if let Some(left) = &mut self.left {
            let take = (*left).min(bytes.len() as u64);
            if *left != u64::MAX {
                *left -= take;
            }
            return take as usize;
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else {
            return bytes.len();
        };
        let head = String::from_utf8_lossy(&self.head[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: u64 = length.map_or(0, |text| text.trim().parse().unwrap());
        let left =
            if length < self.cut.least { u64::MAX } else { length * self.cut.permille / 1000 };
        self.left = Some(left);
        let head_here = end + 4 - before;
        head_here + self.allow(&bytes[head_here..])
    }
}
