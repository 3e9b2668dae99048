//! Ctrl-C and `kill`: the first asks the run to stop at a checkpoint, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Kind, Result};

/// From now on a signal puts its number into `stop`.
pub(super) fn watch(stop: &Arc<AtomicUsize>) -> Result<()> {
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = signal.unsigned_abs() as usize;
        flag::register_conditional_shutdown(signal, 128 + signal, second.clone())
            .and_then(|_| flag::register(signal, second.clone()))
            .and_then(|_| flag::register_usize(signal, stop.clone(), number))
            .map_err(|e| {
                Error::new(Kind::Internal, "signals", "cannot catch signals").because(e)
            })?;
    }
    Ok(())
}
