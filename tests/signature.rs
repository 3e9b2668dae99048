//! Signatures, judged by programs that we did not write: xmlsec1, OpenSSL, Java, and StratusLab's own
//! validator. Each has to be there; a missing one is an error that names its package.

#[path = "signature/attacks.rs"]
mod attacks;
#[path = "signature/judges.rs"]
mod judges;
#[path = "signature/names.rs"]
mod names;
#[path = "signature/tools.rs"]
mod tools;
