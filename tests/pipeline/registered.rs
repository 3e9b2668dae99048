//! What goes wrong with logins, names, room and the marketplace: it is said, with the right code,
//! and nothing false is left.
