//! What is said of an image, and who says it: the manifest in StratusLab's form (RDF/XML), and the
//! signature that binds it.
//!
//! ```text
//! manifest.rs   the facts ◄─── read.rs ◄─── xml.rs ◄─── document
//!               the facts ───► write.rs ──────────────► document
//! deprecate.rs  the same document, with the reason why not to use its image
//! show.rs       the facts for programs and for people
//! validate/     schema, constraints, RDF, signature: what servers will say of a document
//! ```

mod c14n;
pub mod certificate;
mod datatypes;
pub mod date;
mod deprecate;
pub mod identifier;
pub mod keys;
pub mod manifest;
mod names;
mod read;
pub mod show;
pub mod signature;
pub mod validate;
mod vocabulary;
mod write;
pub mod xml;

pub use datatypes::{is_absolute_uri, is_email};
pub use deprecate::{deprecate, taken_back};
pub use manifest::{EditFact, Endorsement, FileFacts, Manifest};
pub use vocabulary::{BASE, DCTERMS, DSIG, OWN, RDF, SLREQ, SLTERMS};
