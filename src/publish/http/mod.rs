//! HTTP as the stores and the markets need it: synchronous outside, careful inside.
//!
//! ```text
//! message.rs      a request, its body, the reply
//! transport.rs    what the user says about the way there: certificates, retries, limits
//! client.rs       the client: redirects, credentials, trying again
//! attempt.rs      one request on the wire, watched
//! feed.rs         the body on its way: pieces of a file, progress, the rate limit
//! retry.rs        what is tried again, and when
//! credentials.rs  who gets which password; netrc.rs reads the file
//! authorize.rs    Basic and Digest; challenge.rs reads what the server asks for
//! trouble.rs      what went wrong, in words
//! ```
//!
//! Every request has a connection of its own. A kept connection can be closed by the server at the
//! moment it is used again, and then nobody knows whether a `MOVE` was done.

mod attempt;
mod authorize;
mod challenge;
mod client;
mod credentials;
mod feed;
mod message;
mod netrc;
mod retry;
mod transport;
mod trouble;

pub use client::Client;
pub use credentials::{Credentials, Login, Secret, without_user};
pub use message::{Body, Headers, Reply, Request};
pub use retry::{Backoff, Setback, temporary};
pub use transport::{Retries, Transport};
pub use trouble::shown;
