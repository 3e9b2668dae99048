//! The command line: the only place that parses arguments and prints.
//!
//! ```text
//! args.rs      what can be typed; shape.rs: what both programs take
//! settings.rs  what it means, together with environment and config file (config.rs)
//! guest.rs     the same for the guest: what is wanted, and what is said of it
//! program.rs   parse, run, exit code
//! convert.rs   stratus-convert
//! publish/     stratus-publish
//! talk.rs      where words go: results to stdout, talk to stderr, JSON where asked for
//! bar.rs       progress: a bar, plain lines, or JSON events
//! ```

mod args;
mod bar;
mod config;
mod context;
pub mod convert;
mod guest;
mod program;
pub mod publish;
mod report;
mod settings;
mod shape;
mod signals;
mod size;
mod talk;
