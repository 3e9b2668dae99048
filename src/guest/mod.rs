//! What is inside a disk: volumes, file systems, the guest itself, and the edits that prepare it.

pub mod block;
pub mod edits;
pub mod facts;
pub mod fstab;
pub mod inspect;
pub mod text;
pub mod tree;
pub mod verdict;
pub mod volumes;

#[cfg(test)]
mod memory;
