//! The context bundle: what is put into a guest so that it configures itself when it starts.
//!
//! One program in POSIX shell for every distribution and init system, put together from the parts in
//! `context/`, and the files that it reads. `docs/contextualization.md` says what they do.

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

/// A file of the bundle.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path in the guest.
    pub path: &'static str,
    /// Its permissions.
    pub mode: u16,
    /// What is in it.
    pub content: &'static str,
}
