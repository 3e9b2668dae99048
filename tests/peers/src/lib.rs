//! Other readers of VDI beside ours, on the images of `testdata/disks`.
//!
//! A package of its own: nobody who builds the program has to build its rivals. What is asserted
//! about a peer is why it is not used; if an assertion fails, the peer got better, and
//! `docs/dependencies.md` wants another look.
