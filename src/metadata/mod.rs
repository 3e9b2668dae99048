//! What is said of an image, and who says it: the manifest in StratusLab's form (RDF/XML), and the
//! signature that binds it.

pub mod xml;
