//! The context bundle: what is put into a guest so that it configures itself when it starts.
//!
//! One program in POSIX shell for every distribution and init system, put together from the parts in
//! `context/`, and the files that it reads. `docs/contextualization.md` says what they do.

use super::text;
use crate::disk::Warning;
use crate::error::{Error, Kind, Result};

/// The contextualizer.
pub const PROGRAM: &str = concat!(
    include_str!("context/head.sh"),
    include_str!("context/log.sh"),
    include_str!("context/settings.sh"),
    include_str!("context/values.sh"),
    include_str!("context/medium.sh"),
    include_str!("context/parse.sh"),
    include_str!("context/keys.sh"),
    include_str!("context/users.sh"),
    include_str!("context/system.sh"),
    include_str!("context/network/addresses.sh"),
    include_str!("context/network/interfaces.sh"),
    include_str!("context/network/settings.sh"),
    include_str!("context/network/files.sh"),
    include_str!("context/network/networkd.sh"),
    include_str!("context/network/netplan.sh"),
    include_str!("context/network/manager.sh"),
    include_str!("context/network/sysconfig.sh"),
    include_str!("context/network/ifupdown.sh"),
    include_str!("context/network.sh"),
    include_str!("context/scripts.sh"),
    include_str!("context/actions.sh"),
    include_str!("context/status.sh"),
    include_str!("context/main.sh"),
);

/// Where the contextualizer is in a guest.
pub const PROGRAM_PATH: &str = "/usr/bin/stratuslab-one-context";

/// What the bundle lists of itself: digests of what was installed, as `sha256sum -c` reads them.
pub const DIGESTS: &str = "/usr/lib/stratuslab/bundle.sha256";

/// Where the medium of the cloud is mounted while it is read.
pub const MOUNT_POINT: &str = "/mnt/stratuslab";

/// A file of the bundle.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path in the guest.
    pub path: &'static str,
    /// Its permissions.
    pub mode: u16,
    /// What is in it.
    pub content: &'static str,
    /// Whether it is configuration: then it is the user's as soon as he has changed it.
    pub configuration: bool,
}

const fn program(path: &'static str, content: &'static str) -> File {
    File { path, mode: 0o755, content, configuration: false }
}

const fn configuration(path: &'static str, content: &'static str) -> File {
    File { path, mode: 0o644, content, configuration: true }
}

/// What every guest gets.
pub const BUNDLE: &[File] = &[
    program(PROGRAM_PATH, PROGRAM),
    program("/usr/bin/stratuslab-apache-context", include_str!("context/actions/apache.sh")),
    program("/usr/bin/stratuslab-bio-context", include_str!("context/actions/bio.sh")),
    program("/usr/bin/stratuslab-pdisk-context", include_str!("context/actions/pdisk.sh")),
    configuration(
        "/etc/stratuslab/stratuslab-one-context.cfg",
        include_str!("context/conf/stratuslab-one-context.cfg"),
    ),
    configuration(
        "/etc/stratuslab/conf.d/50-apache.context",
        include_str!("context/conf/50-apache.context"),
    ),
    configuration(
        "/etc/stratuslab/conf.d/50-bio.context",
        include_str!("context/conf/50-bio.context"),
    ),
    configuration(
        "/etc/stratuslab/conf.d/50-pdisk.context",
        include_str!("context/conf/50-pdisk.context"),
    ),
];

/// A password for root that nobody knows, new at every start.
pub const RANDOM_PASSWORD: &[File] = &[
    program(
        "/usr/bin/stratuslab-random-password",
        include_str!("context/actions/random-password.sh"),
    ),
    configuration(
        "/etc/stratuslab/conf.d/01-password.context",
        include_str!("context/conf/01-password.context"),
    ),
];

/// The root file system grows to the disk that the cloud gives.
pub const GROW_ROOT: &[File] = &[configuration(
    "/etc/stratuslab/conf.d/05-growroot.context",
    include_str!("context/conf/05-growroot.context"),
)];

/// An action of the user's own that a guest gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextScript {
    /// Its name, as [`check_script_name`] gave it.
    pub name: String,
    /// The script.
    pub content: Vec<u8>,
    /// Its variables with their defaults: names as [`check_variable`] lets them through.
    pub variables: Vec<(String, Vec<u8>)>,
}

/// Names that mean something to the one who reads a `*.context`, or to a shell itself: a file of
/// defaults that set them would fail, run other programs, or have no effect. All that
/// `reserved_name` of `context/values.sh` has is here.
const RESERVED: &[&str] = &[
    // What a *.context says of itself, and what the contextualizer sets for its children.
    "enable",
    "run_exec",
    "run_timeout",
    "stage",
    "CONTEXT_FILE",
    "MOUNT_DIR",
    // Of shells and programs.
    "_",
    "CDPATH",
    "COLUMNS",
    "COMMAND_NOT_FOUND_HANDLER",
    "DIRSTACK",
    "EGID",
    "ENV",
    "EUID",
    "EXECIGNORE",
    "FCEDIT",
    "FIGNORE",
    "FPATH",
    "FUNCNAME",
    "FUNCNEST",
    "GCONV_PATH",
    "GID",
    "GLOBIGNORE",
    "GROUPS",
    "HISTCMD",
    "HISTCONTROL",
    "HISTFILE",
    "HISTSIZE",
    "HOME",
    "IFS",
    "IGNOREEOF",
    "LINENO",
    "LINES",
    "LOCPATH",
    "MAIL",
    "MAILCHECK",
    "MAILPATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "PATH",
    "PATHSEP",
    "PERL5LIB",
    "PERL5OPT",
    "PGRP",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PROMPT_COMMAND",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RANDOM",
    "REPLY",
    "ROOT",
    "RUBYLIB",
    "RUBYOPT",
    "SECONDS",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "TMOUT",
    "TMPDIR",
    "UID",
    "USER_ID",
];

/// What reserved names begin with.
const RESERVED_BEGINNINGS: &[&str] = &[
    "BASH", "COMP_", "EPOCH", "GLIBC_", "KSH", "LC_", "LD_", "MALLOC_", "MKSH", "POSH", "YASH",
    // The contextualizer's own, while it reads a *.context.
    "stratus_",
];

/// Whether a variable of the context cannot have this name.
fn is_reserved(name: &str) -> bool {
    // PS1 and the like.
    let prompt = name.strip_prefix("PS");
    RESERVED.contains(&name)
        || RESERVED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || matches!(prompt.map(str::as_bytes), Some([b'0'..=b'9']))
}

/// Whether a shell takes this for the name of a variable.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Checks a variable that is to be a default of the image. What is no error may still need a word.
///
/// # Errors
/// `Usage` with code `context-variable`: no name of a variable, or one that the shell or the
/// contextualizer has for itself; a value with a zero byte.
pub fn check_variable(name: &str, value: &[u8]) -> Result<Option<Warning>> {
    let bad = |message: String| Error::new(Kind::Usage, "context-variable", message);
    if !is_variable(name) {
        let message = format!("'{}' is no name of a variable", name.escape_debug());
        return Err(bad(message).remedy("use letters, digits and _, and no digit first"));
    }
    if is_reserved(name) {
        let message =
            format!("{name} cannot be a variable of the context: it has a meaning already");
        return Err(bad(message).remedy("give it another name"));
    }
    if value.contains(&0) {
        return Err(bad(format!(
            "the value of {name} has a zero byte, which no variable can hold"
        )));
    }
    Ok(name.bytes().any(|byte| byte.is_ascii_lowercase()).then(|| {
        let message = format!(
            "{name} has lower case letters: clouds give variables in upper case, so none can give \
             another value to it"
        );
        Warning::new("context-var-case", message)
    }))
}

/// Actions that are there already.
const BUNDLED: [&str; 6] = ["password", "growroot", "apache", "bio", "pdisk", "quattor"];

/// The name of an action for a script whose file is called `stem`: runs of other characters than
/// `A-Z a-z 0-9 _ -` become one `-`. `taken` are the names that other scripts have.
///
/// # Errors
/// `Usage` with code `context-script`: nothing is left of it, or the name is taken.
pub fn check_script_name(stem: &str, taken: &[String]) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words: Vec<_> = stem.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    // What a folder's entry may have, less what goes around it.
    let name: String = name.trim_matches('-').chars().take(200).collect();
    let bad = |message: String| {
        Error::new(Kind::Usage, "context-script", message).remedy("rename the file")
    };
    if name.is_empty() {
        let message = format!("'{}' gives no name for an action", stem.escape_debug());
        return Err(bad(message));
    }
    let same = |other: &str| other.eq_ignore_ascii_case(&name);
    if BUNDLED.iter().any(|bundled| same(bundled)) {
        return Err(bad(format!("{name} is an action that every image has")));
    }
    if taken.iter().any(|other| same(other)) {
        return Err(bad(format!("two scripts have the name {name}")));
    }
    Ok(name)
}

/// Lines of shell that set a variable to exactly these bytes, in every shell: all between single
/// quotes, but a single quote itself.
pub(in crate::guest) fn assignment(name: &str, value: &[u8]) -> String {
    format!("{name}='{}'\n", text::decode(value).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
