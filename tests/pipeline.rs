//! `stratus-publish` as its user types it, against real servers and a stand-in for the marketplace.

mod common;
#[path = "common/cutter.rs"]
mod cutter;
#[path = "common/liar.rs"]
mod liar;
#[path = "servers/mod.rs"]
mod servers;

#[path = "pipeline/again.rs"]
mod again;
#[path = "pipeline/cut.rs"]
mod cut;
#[path = "pipeline/everywhere.rs"]
mod everywhere;
#[path = "pipeline/killed.rs"]
mod killed;
#[path = "pipeline/limits.rs"]
mod limits;
#[path = "pipeline/originals.rs"]
mod originals;
#[path = "pipeline/places.rs"]
mod places;
#[path = "pipeline/plan.rs"]
mod plan;
#[path = "pipeline/refused.rs"]
mod refused;
#[path = "pipeline/registered.rs"]
mod registered;
#[path = "pipeline/secrets.rs"]
mod secrets;
#[path = "pipeline/stopped.rs"]
mod stopped;
#[path = "pipeline/user.rs"]
mod user;

/// Whether the long forms are wanted.
fn full() -> bool {
    std::env::var_os("STRATUS_FULL").is_some_and(|value| value == "1")
}
