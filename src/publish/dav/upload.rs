//! One object on its way: what is there before, sending, proving, the final name.

use serde_json::{Value, json};
use url::Url;

use super::local::Local;
use super::probe::Ability;
use super::requests::{Mark, There};
use super::{DavTarget, proof, requests};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::publish::http::shown;
use crate::publish::{Content, How, Object, Session, Stored, Verify, name};

/// One object on its way.
pub(super) struct Upload<'a> {
    pub(super) object: &'a Object<'a>,
    /// Who stores it: [`Session::owner`].
    pub(super) owner: String,
    pub(super) local: Local<'a>,
    /// Where it goes, and where it is until then: the same for a server without `MOVE`.
    pub(super) last: Url,
    pub(super) part: Url,
    pub(super) ability: Ability,
    pub(super) control: &'a Control,
}

/// What is at the final name before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// This very object.
    Same,
    /// Another one, which is to be replaced.
    Other,
}

/// How the bytes get there, in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Append,
    Whole,
    Direct,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Append => "append",
            Mode::Whole => "whole",
            Mode::Direct => "direct",
        }
    }
}

impl DavTarget {
    /// What is at the final name. If it is another object, and may not be replaced, that is an
    /// error.
    pub(super) fn before(&self, upload: &Upload, replace: bool, mine: bool) -> Result<Before> {
        let Upload { object, last, control, .. } = upload;
        let mut there = requests::look(&self.client, last, control)?;
        if there == There::Nothing {
            return Ok(Before::Nothing);
        }
        if there.may_have(object.bytes) {
            let digest = proof::read_all(&self.client, last, object.bytes, control)?;
            if digest.as_deref() == Some(object.sha256) {
                return Ok(Before::Same);
            }
        }
        if replace && requests::is_collection(&self.client, last, control)? {
            there = There::Collection;
        }
        let fragment = mine && self.is_fragment(upload, there)?;
        if there == There::Collection || !(replace || fragment) {
            let message = format!("something else is at {}", shown(last));
            return Err(Error::new(Kind::CannotCreate, "object-other", message)
                .remedy("use another version or name, or --force to replace it"));
        }
        Ok(Before::Other)
    }

    /// Whether what lies at the final name is a beginning of this object: what a run that was
    /// killed has left on a server without `MOVE`.
    fn is_fragment(&self, upload: &Upload, there: There) -> Result<bool> {
        let There::Object(Some(size)) = there else { return Ok(false) };
        if size >= upload.object.bytes {
            return Ok(false);
        }
        let digest = proof::read_all(&self.client, &upload.last, size, upload.control)?;
        Ok(digest == Some(upload.local.sha256(size, upload.control)?))
    }

    pub(super) fn remove_fragment(&self, upload: &Upload) -> Result<()> {
        let there = requests::look(&self.client, &upload.last, upload.control)?;
        if self.is_fragment(upload, there)? {
            requests::remove(&self.client, &upload.last, upload.control)?;
        }
        Ok(())
    }

    /// Sends, proves, and renames.
    pub(super) fn publish(
        &self,
        upload: &mut Upload,
        how: How,
        session: &mut dyn Session,
    ) -> Result<Stored> {
        let object = upload.object;
        let direct = upload.mode() == Mode::Direct;
        // What is only compared with the server in part, or seen by others at once, has to be right
        // on this side.
        let small = matches!(object.content, Content::Bytes(_));
        if small || how.verify != Verify::Full || direct {
            upload.local.prove(upload.control)?;
        }
        let mut again = true;
        loop {
            let continued = match self.send(upload, session) {
                Ok(continued) => continued,
                Err(error) if upload.mode() == Mode::Append && error.kind() == Kind::Protocol => {
                    self.send_whole(upload, &error);
                    session.keep(upload.session(0))?;
                    continue;
                }
                Err(error) => {
                    if direct
                        && ends_it(&error)
                        && let Err(cannot) = self.remove_fragment(upload)
                    {
                        upload.control.warn(format!("a part of it may be left: {cannot}"));
                    }
                    return Err(error);
                }
            };
            // What an earlier run has sent is believed only when all of it was read.
            let verify = if continued { Verify::Full } else { how.verify };
            // On a server without MOVE somebody else may replace what has the final name already.
            let put = if direct { self.mark(upload, &upload.part) } else { None };
            let error = match proof::prove(&self.client, upload, &upload.part, verify) {
                Ok(proof) => {
                    self.finish(upload, how, verify)?;
                    return Ok(self.stored(object, false, proof));
                }
                Err(error) => error,
            };
            if !(is_wrong(&error) || direct && ends_it(&error)) {
                return Err(error);
            }
            // Wrong bytes are no beginning to go on from, and nothing that others should find.
            match direct {
                true => self.take_back(upload, put.as_ref()),
                false => self.remove_unproved(upload, &upload.part),
            }
            session.keep(Value::Null)?;
            if !(continued && again) {
                upload.local.prove(upload.control)?;
                return Err(error);
            }
            upload.control.warn(format!("{error}; it is sent anew"));
            again = false;
        }
    }

    /// A server that appended in the probe, and does not now, gets no pieces any more.
    fn send_whole(&self, upload: &mut Upload, why: &Error) {
        upload.control.warn(format!(
            "{why}; the server does not append as it did when it was tried: all is sent as a whole, \
             and begins anew after a cut"
        ));
        upload.ability.appends = false;
        if let Ok(collection) = upload.last.join(".") {
            self.remember(&collection, upload.ability);
        }
    }

    /// The final name, and a last look at what lies there.
    fn finish(&self, upload: &Upload, how: How, verify: Verify) -> Result<()> {
        if upload.mode() == Mode::Direct {
            return Ok(());
        }
        let last = &upload.last;
        requests::rename(&self.client, upload, how.replace)?;
        let moved = self.mark(upload, last);
        // A server may copy, and make mistakes. Its marks say nothing of that: Apache's are made of
        // time and size.
        let proved = proof::prove(&self.client, upload, last, verify).map(|_| ());
        // What was there before is gone in any case.
        if proved.as_ref().is_err_and(is_wrong) {
            self.take_back(upload, moved.as_ref());
        }
        proved
    }

    /// Removes from the final name what was not proved, if it is still the one that had this mark.
    fn take_back(&self, upload: &Upload, mark: Option<&Mark>) {
        let Upload { last, control, .. } = upload;
        match requests::mark(&self.client, last, control) {
            Ok(None) => {}
            Ok(now) if now.as_ref() == mark => self.remove_unproved(upload, last),
            _ => control.warn(format!(
                "what is at {} was not proved, and stays: somebody may have changed it",
                shown(last)
            )),
        }
    }

    fn remove_unproved(&self, upload: &Upload, url: &Url) {
        if let Err(cannot) = requests::remove(&self.client, url, upload.control) {
            upload.control.warn(format!("what was not proved stays there: {cannot}"));
        }
    }

    fn mark(&self, upload: &Upload, url: &Url) -> Option<Mark> {
        requests::mark(&self.client, url, upload.control).ok().flatten()
    }
}

impl Upload<'_> {
    pub(super) fn mode(&self) -> Mode {
        match self.ability {
            Ability { moves: false, .. } => Mode::Direct,
            Ability { appends: true, .. } => Mode::Append,
            Ability { .. } => Mode::Whole,
        }
    }

    /// What is kept once the server has `sent` bytes.
    pub(super) fn session(&self, sent: u64) -> Value {
        let part = name::unfinished(self.object, &self.owner);
        json!({"part": part, "mode": self.mode().name(), "sent": sent})
    }
}

/// Whether a proof has failed, and was not only prevented.
fn is_wrong(error: &Error) -> bool {
    matches!(error.kind(), Kind::Mismatch | Kind::Protocol)
}

/// Whether the next run could not go on after this error.
fn ends_it(error: &Error) -> bool {
    !matches!(error.kind(), Kind::Interrupted(_) | Kind::Unavailable | Kind::Locked)
}

/// Whether a session is one of this object and owner, and of this way to send it.
pub(super) fn is_of(session: &dyn Session, object: &Object, mode: Mode) -> bool {
    let Some(value) = session.last() else { return false };
    let has = |key: &str, text: &str| value.get(key).and_then(Value::as_str) == Some(text);
    has("part", &name::unfinished(object, &session.owner())) && has("mode", mode.name())
}
