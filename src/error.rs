//! One error type for the whole library.
//!
//! ```text
//! Error
//! ├── kind     what a program decides on; each kind has one exit code
//! ├── message  what happened, for a person
//! ├── path, offset   where, if it is known
//! ├── remedy   what to do about it
//! └── source   the cause, usually an io::Error; printed after the message
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is. The names and exit codes are a stable interface
/// (`sysexits.h` where one fits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// The input contradicts itself or its format's rules.
    Damaged,
    /// The input is something this version does not read.
    Unsupported,
    /// The input is sound but must not be converted like this.
    Refused,
    /// The input changed while it was being read.
    Changed,
    /// The input, or a parent of it, is not there.
    Missing,
    /// The output cannot be created where it was asked for.
    CannotCreate,
    /// Reading or writing failed.
    Io,
    /// Another run works on the same output, or somebody has locked it at the server.
    Locked,
    /// The bytes are not those that the record promises.
    Mismatch,
    /// The operating system, or a server, denies access.
    Permission,
    /// A server cannot be reached, or is out of order, also after trying again.
    Unavailable,
    /// A server does not keep to its protocol, or does not do what it says.
    Protocol,
    /// The configuration file or a variable is wrong.
    Config,
    /// A signal stopped the run after a checkpoint.
    Interrupted(i32),
    /// Several inputs were asked for and some of them failed.
    SomeFailed,
    /// The reader of the image went away before it had all of it. A quiet end, as for every
    /// program in a pipe: the reader's own status tells whether it had enough.
    BrokenPipe,
    /// A fault of this program.
    Internal,
}

impl Kind {
    /// The exit code that this kind ends the program with.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::BrokenPipe => 0,
            Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::SomeFailed => 3,
            Kind::Damaged | Kind::Unsupported | Kind::Refused | Kind::Changed => 65,
            Kind::Missing => 66,
            Kind::CannotCreate => 73,
            Kind::Io => 74,
            Kind::Locked => 75,
            Kind::Unavailable => 69,
            Kind::Mismatch | Kind::Protocol => 76,
            Kind::Permission => 77,
            Kind::Config => 78,
            Kind::Interrupted(signal) => u8::try_from(signal).map_or(1, |s| s.saturating_add(128)),
        }
    }

    /// The name that `--json` prints.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Damaged => "damaged",
            Kind::Unsupported => "unsupported",
            Kind::Refused => "refused",
            Kind::Changed => "changed",
            Kind::Missing => "missing",
            Kind::CannotCreate => "cannot_create",
            Kind::Io => "io",
            Kind::Locked => "locked",
            Kind::Mismatch => "mismatch",
            Kind::Permission => "permission",
            Kind::Unavailable => "unavailable",
            Kind::Protocol => "protocol",
            Kind::Config => "config",
            Kind::Interrupted(_) => "interrupted",
            Kind::SomeFailed => "some_failed",
            Kind::BrokenPipe => "broken_pipe",
            Kind::Internal => "internal",
        }
    }
}

/// What went wrong, where, why, and what to do.
///
/// `Display` prints the message with its place; the cause is reached through
/// [`std::error::Error::source`] and is not repeated in the message.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    code: &'static str,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    remedy: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// `code` is a stable name of the single flaw, such as `vdi-block-beyond-end`.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            code,
            message: message.into(),
            path: None,
            offset: None,
            remedy: None,
            source: None,
        }))
    }

    /// A failed system call on `path`; the kind follows the operating system's reason.
    pub fn io(code: &'static str, what: impl Into<String>, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::Missing,
            io::ErrorKind::PermissionDenied => Kind::Permission,
            _ => Kind::Io,
        };
        Error::new(kind, code, what).at(path).because(source)
    }

    /// Names the file.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// Names the byte offset in that file.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: io::Error) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Replaces the kind, where the caller knows better than the system call.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Says what it was about, in front of the message.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// The same error once more, without its cause.
    #[must_use]
    pub fn again(&self) -> Self {
        let Inner { kind, code, message, path, offset, remedy, source: _ } = self.0.as_ref();
        Error(Box::new(Inner {
            kind: *kind,
            code,
            message: message.clone(),
            path: path.clone(),
            offset: *offset,
            remedy: remedy.clone(),
            source: None,
        }))
    }

    /// See [`Kind`].
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable name of the single flaw.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The message without its place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The file in question.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The byte offset in that file.
    pub fn byte_offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What to do.
    pub fn advice(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(&self.0.message)?;
        if let Some(offset) = self.0.offset {
            write!(f, " (at byte {offset})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}
