//! `stratus-publish`: convert what has to be converted, and publish it.
//!
//! ```text
//! args.rs      what can be typed   words.rs    values of options
//! items.rs     what is published
//! place.rs     where it goes: repository, marketplace    way.rs   the way there
//! signer.rs    who signs            secret.rs   passwords
//! metadata.rs, deprecate.rs, keygen.rs   the other commands
//! report.rs    what is said at the end
//! ```

mod args;
mod deprecate;
mod items;
mod keygen;
mod metadata;
mod place;
mod report;
mod secret;
mod signer;
mod way;
mod words;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use args::{Args, Command, Describing};
use items::{Item, refuse_packed};
use place::Places;

use super::args::ProgressForm;
use super::bar::Progress;
use super::config::Site;
use super::settings::Manner;
use super::shape::Talking;
use super::talk::Talk;
use super::{program, signals};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::pipeline::plan::Start;
use crate::pipeline::publish::{Publication, Said, Signer, clock};
use crate::pipeline::{self, Status};

/// The program.
pub fn main() -> ExitCode {
    let typed = words::joined(std::env::args_os());
    program::main::<Args>(&typed, |args, site| Manner::of(args.talking(), false, site), run)
}

impl Args {
    /// The options of talking of whichever command it is.
    fn talking(&self) -> &Talking {
        use args::Metadata::{Build, Show, Sign, Validate, Verify};
        match &self.command {
            None => &self.talking,
            Some(Command::Deprecate(args)) => &args.talking,
            Some(Command::Keygen(args)) => &args.talking,
            Some(Command::Metadata { command }) => match command {
                Build(args) => &args.talking,
                Sign(args) => &args.talking,
                Validate(args) | Show(args) => &args.talking,
                Verify(args) => &args.talking,
            },
        }
    }
}

impl Args {
    /// The options of signing of whichever command it is.
    fn signing(&self) -> Option<&args::Signing> {
        match &self.command {
            None => Some(&self.signing),
            Some(Command::Deprecate(args)) => Some(&args.signing),
            Some(Command::Metadata { command: args::Metadata::Sign(args) }) => Some(&args.signing),
            _ => None,
        }
    }
}

fn run(args: Args, site: &Site, talk: Talk) -> Result<u8> {
    let mut site = site.clone();
    if let Some(signing) = args.signing() {
        site.typed("p12_cert", signing.p12_cert.as_deref());
        site.typed("key", signing.key.as_deref());
    }
    let site = &site;
    site.or(args.talking().color, "color")?;
    let form = site.or(args.talking().progress, "progress")?.unwrap_or(ProgressForm::Auto);
    let progress = Arc::new(Progress::new(form, talk));
    let control = Control { progress: Box::new(progress.clone()), ..Control::default() };
    signals::watch(&control.stop)?;
    for (variable, now) in site.old_variables() {
        talk.note(&format!("taking {variable}, a name of the past; today it is {now}"));
    }
    match &args.command {
        None => publish_all(&args, site, &control, &progress, talk),
        Some(Command::Metadata { command }) => metadata::run(command, site, &control, talk),
        Some(Command::Deprecate(args)) => deprecate::run(args, site, &control, talk),
        Some(Command::Keygen(args)) => keygen::run(args, site, &control, talk),
    }
}

/// Publishes every input. One input's error is the program's; of several, the others go on.
fn publish_all(
    args: &Args,
    site: &Site,
    control: &Control,
    progress: &Progress,
    talk: Talk,
) -> Result<u8> {
    command_first(args)?;
    args.place.location.iter().try_for_each(|location| is_location(location))?;
    let items = items::items(args, site)?;
    let places = Places::settle(&args.place, &args.transport, site, control)?;
    let signer = signer::signer(&args.signing, site, places.need(), args.dry_run, (control, talk))?;
    let said = described(&args.describing, site)?;
    places.tell(talk);
    let work = Work { args, said, places, signer, control, talk };
    let mut failed = None;
    for item in &items {
        progress.about(&item.input.display().to_string());
        let result = match &item.wrong {
            Some(error) => Err(error.again()),
            None if args.dry_run => work.plan(item),
            None => work.publish(item),
        };
        let Err(error) = result else { continue };
        if items.len() == 1 || matches!(error.kind(), Kind::Interrupted(_)) {
            return Err(error);
        }
        // Whose it is: not every error has a path.
        let of = item.input.display().to_string();
        talk.error(&if error.path() == Some(&item.input) { error } else { error.within(&of) });
        failed = Some(Kind::SomeFailed);
    }
    Ok(failed.map_or(0, Kind::exit_code))
}

/// Whether a text can be a location at all.
fn is_location(text: &str) -> Result<()> {
    url::Url::parse(text).map(drop).map_err(|why| {
        Error::new(Kind::Usage, "usage", format!("--location is no URL: {why}"))
            .remedy("write the whole URL of the image: https://HOST/PATH/NAME.img.gz")
    })
}

/// `stratus-publish -v metadata show x`: the parser takes the command for an input.
fn command_first(args: &Args) -> Result<()> {
    let first = args.inputs.first().and_then(|input| input.to_str()).unwrap_or_default();
    if !matches!(first, "metadata" | "deprecate" | "keygen") || Path::new(first).exists() {
        return Ok(());
    }
    let message = format!("the command {first} comes first, and then its options");
    Err(Error::new(Kind::Usage, "command-first", message)
        .remedy(format!("stratus-publish {first} …, and all options behind it")))
}

/// What is the same for every input.
struct Work<'a> {
    args: &'a Args,
    said: Said,
    places: Places,
    signer: Option<Signer>,
    control: &'a Control,
    talk: Talk,
}

impl Work<'_> {
    fn publish(&self, item: &Item) -> Result<()> {
        let Work { control, talk, .. } = self;
        let mut publication = self.publication(item);
        let mut status = None;
        if let (None, Some(option)) = (&item.job, self.args.shape.shaping()) {
            talk.warn(&format!(
                "{} is an image already: {option} does nothing to it",
                item.input.display()
            ));
        }
        if let Some(job) = &item.job {
            refuse_packed(&job.input)?;
            let opened = pipeline::open(job, control)?;
            pipeline::publish::rehearse_before(&publication, job, &opened, control)?;
            let done = pipeline::convert_opened(job, &opened, control)?.status;
            publication.fresh = done != Status::AlreadyDone;
            status = Some(done);
        }
        let published = pipeline::publish::publish(&publication, control)?;
        talk.result_json(&report::json(item, &published))?;
        talk.result(&report::text(item, status, &published))
    }

    fn plan(&self, item: &Item) -> Result<()> {
        let Work { control, talk, .. } = self;
        let publication = self.publication(item);
        let steps = match &item.job {
            None => pipeline::publish::steps(&publication, control)?,
            Some(job) => {
                refuse_packed(&job.input)?;
                let opened = pipeline::open(job, control)?;
                opened.tell_warnings(control);
                let look = pipeline::preview(job, &opened, control)?;
                look.plan.notes.iter().for_each(|note| talk.note(note));
                if let Some(shortage) = look.shortage {
                    return Err(shortage);
                }
                match look.plan.start {
                    // The image is there, and is what the disk would become.
                    Start::Done(_) => pipeline::publish::steps(&publication, control)?,
                    _ => pipeline::publish::steps_before(&publication, job, &opened, control)?,
                }
            }
        };
        talk.result_json(&report::steps_json(item, &steps))?;
        talk.result(&report::steps(item, &steps))
    }

    fn publication(&self, item: &Item) -> Publication<'_> {
        let Work { args, said, places, signer, .. } = self;
        Publication {
            image: item.image().to_owned(),
            fresh: false,
            said: said.clone(),
            target: places.target.as_ref(),
            naming: places.naming,
            location: args.place.location.clone(),
            signer: signer.as_ref(),
            registry: places.registry.as_deref(),
            reach: places.reach.clone(),
            verify: places.verify,
            force: args.shape.force,
            reinstate: args.place.reinstate,
            restart: args.shape.restart,
            clock,
        }
    }
}

/// What is said of the image, from the options and the settings of the site.
fn described(args: &Describing, site: &Site) -> Result<Said> {
    Ok(Said {
        title: args.title.clone(),
        comment: args.comment.clone(),
        author: site.or(args.author.clone(), "author")?,
        tag: site.or(args.tag.clone(), "tag")?,
        type_: site.or(args.type_.clone(), "type")?,
        kind: site.or(args.kind, "kind")?.map(|kind| kind.to_string()),
        os: args.os.clone(),
        os_version: args.os_version.clone(),
        os_arch: args.os_arch.clone(),
        image_version: args.image_version.clone(),
        disks_bus: site.or(args.disks_bus, "disks_bus")?.map(|bus| bus.to_string()),
        hypervisors: list(&args.hypervisor, "hypervisor", site)?,
        inbound_ports: list(&args.inbound_port, "inbound_port", site)?,
        valid_days: site.or(args.valid_days, "valid_days")?.map(|days| days.0),
    })
}

/// The values that were typed, else those that the site has set, with commas between them.
fn list<T>(typed: &[T], key: &str, site: &Site) -> Result<Vec<T>>
where
    T: Clone + FromStr,
    T::Err: Display,
{
    if !typed.is_empty() {
        return Ok(typed.to_vec());
    }
    let set = site.get::<String>(key)?.unwrap_or_default();
    let words = set.split(',').map(str::trim).filter(|word| !word.is_empty());
    let value = |word: &str| {
        word.parse().map_err(|why| {
            Error::new(Kind::Config, "config-value", format!("'{word}' in {key}: {why}"))
        })
    };
    words.map(value).collect()
}
