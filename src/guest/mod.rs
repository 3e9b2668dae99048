//! What is inside a disk: volumes, file systems, the guest itself, and the edits that prepare it.

pub mod block;
pub mod cloud;
pub mod context;
pub mod edits;
pub mod ext;
pub mod facts;
pub mod filesystem;
pub mod fstab;
pub mod inspect;
pub mod mounted;
pub mod prepare;
pub mod text;
pub mod tree;
pub mod verdict;
pub mod volumes;

#[cfg(test)]
mod memory;
