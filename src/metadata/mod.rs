//! What is said of an image, and who says it: the manifest in StratusLab's form (RDF/XML), and the
//! signature that binds it.

mod c14n;
pub mod certificate;
mod names;
pub mod xml;
