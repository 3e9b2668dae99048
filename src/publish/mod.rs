//! Bringing an image to where others can get it: targets that store objects, and registries that
//! know of them.
//!
//! ```text
//! target.rs       the interface of every store
//! name.rs         the names of objects
//! directory.rs    a directory as a store
//! scheme.rs       how an appliance repository wants its files named
//! dav/            WebDAV, and servers that only know PUT
//! http/           what all that speak HTTP use
//! registry.rs     the interface of everything that knows of images
//! market_folder.rs   the embedded market's data folder
//! marketplace.rs     a marketplace behind HTTP
//! locations.rs       which locations a marketplace may be told
//! whose.rs           who has signed an entry, and whether it takes its image back
//! ```
//!
//! A target is asked three things: what lies at a name, what it would do to store an object there,
//! and to do it. It returns only when the object has its final name and was proved to be the one
//! that was meant.

pub mod dav;
pub mod directory;
pub mod http;
pub mod locations;
pub mod market_folder;
pub mod marketplace;
pub(crate) mod name;
pub mod registry;
pub mod scheme;
mod target;
pub mod whose;

pub use target::{Content, Found, How, Object, Session, Stored, Target, Verify};
