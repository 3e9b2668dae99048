//! What a conversion would do, for a dry run.

use super::place::Place;
use super::plan::{self, Start};
use super::{Control, Job, Opened, lock, space};
use crate::error::{Error, Result};

/// What [`super::convert`] would find at the output's place.
pub struct Preview {
    /// The names.
    pub place: Place,
    /// Where it would begin.
    pub plan: plan::Plan,
    /// Bytes that are free there.
    pub room: u64,
    /// The error that it would end with for want of room.
    pub shortage: Option<Error>,
}

/// Looks at everything that [`super::convert`] looks at before it begins, and changes nothing.
///
/// # Errors
/// Those that it would begin with.
pub fn preview(job: &Job, opened: &Opened, control: &Control) -> Result<Preview> {
    let place = Place::new(&job.output)?;
    place.check_state()?;
    lock::Lock::look(&place)?;
    place.check_writable()?;
    let disk = &opened.disk;
    let plan = plan::look(job, disk, &place, &job.work(opened)?, control)?;
    let room = space::free(&place)?;
    let unfinished = match &plan.start {
        Start::Continue(unfinished) => Some(unfinished),
        _ => None,
    };
    let fresh = matches!(plan.start, Start::Fresh | Start::Continue(_));
    let shortage = fresh.then(|| space::check(job, disk, &place, unfinished, control).err());
    Ok(Preview { place, plan, room, shortage: shortage.flatten() })
}
