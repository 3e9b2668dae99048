//! Progress that tells the truth: bytes, rate, time left, and how much was empty.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::args::ProgressForm;
use super::size::{human, human_time};
use super::talk::{Talk, printable};
use crate::control::{Event, Listener};

/// A bar is redrawn, and a JSON event sent, at most this often.
const TICK: Duration = Duration::from_millis(200);
/// A plain line comes at most this often.
const PLAIN_TICK: Duration = Duration::from_secs(10);

/// What is sent or read back is told if it has at least so many bytes.
const WORTH_TELLING: u64 = 1 << 20;

/// Shows events in one of the forms.
pub(super) struct Progress {
    talk: Talk,
    form: Form,
    state: Mutex<State>,
}

enum Form {
    Silent,
    Bar(ProgressBar),
    Plain,
    Json,
}

#[derive(Default)]
struct State {
    name: String,
    meter: Option<Meter>,
}

impl Progress {
    /// The form that was asked for; a bar only where there is a terminal.
    pub(super) fn new(form: ProgressForm, talk: Talk) -> Self {
        let terminal = io::stderr().is_terminal();
        let form = match form {
            ProgressForm::None => Form::Silent,
            ProgressForm::Auto if talk.quiet() => Form::Silent,
            ProgressForm::Auto if talk.json() && !terminal => Form::Silent,
            ProgressForm::Auto if !terminal => Form::Plain,
            ProgressForm::Auto | ProgressForm::Bar => Form::Bar(bar(talk)),
            ProgressForm::Plain => Form::Plain,
            ProgressForm::Json => Form::Json,
        };
        Progress { talk, form, state: Mutex::default() }
    }

    /// What the next events are about.
    pub(super) fn about(&self, name: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).name = name.to_owned();
    }

    /// With JSON events, words are events, too: every line can be parsed.
    fn say(&self, event: &str, label: fn(&Talk, &str), text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| label(&self.talk, text)),
            Form::Json => send(&json!({ "event": event, "message": text })),
            Form::Plain | Form::Silent => label(&self.talk, text),
        }
    }

    fn begin(&self, meter: Meter) {
        // Manifests and checksum files are there before anybody could read of them.
        if matches!(meter.stage, "upload" | "read back") && meter.total() < WORTH_TELLING {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.form {
            Form::Bar(bar) => {
                bar.reset();
                bar.set_prefix(meter.stage);
                bar.set_message("");
                bar.set_length(meter.total());
                bar.set_position(meter.from);
            }
            Form::Json => send(&json!({
                "event": "begin", "stage": meter.stage, "name": state.name,
                "total": meter.total(), "from": meter.from, "empty": meter.empty,
            })),
            Form::Plain | Form::Silent => {}
        }
        state.meter = Some(meter);
    }

    fn advance(&self, data: u64, empty: u64, written: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { name, meter: Some(meter) } = &mut *state else { return };
        meter.take(data, empty, written);
        let tick = if matches!(self.form, Form::Plain) { PLAIN_TICK } else { TICK };
        if meter.shown.elapsed() < tick {
            return;
        }
        meter.shown = Instant::now();
        self.show(name, meter);
    }

    fn show(&self, name: &str, meter: &Meter) {
        match &self.form {
            Form::Silent => {}
            Form::Bar(bar) => {
                bar.set_position(meter.position());
                bar.set_message(meter.words());
            }
            Form::Plain => {
                let percent = meter.position() * 100 / meter.total().max(1);
                let words = meter.words();
                let line = format!("{}: {} {percent} %, {words}\n", printable(name), meter.stage);
                let _ = io::stderr().lock().write_all(line.as_bytes());
            }
            Form::Json => send(&json!({
                "event": "progress", "stage": meter.stage, "name": name,
                "bytes": meter.position(), "total": meter.total(),
                "empty": meter.empty_done, "written": meter.written,
                "bytes_per_second": meter.rate(), "seconds_left": meter.seconds_left(),
            })),
        }
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { name, meter: Some(meter) } = &mut *state else { return };
        match &self.form {
            Form::Bar(bar) => bar.finish_and_clear(),
            Form::Json => {
                self.show(name, meter);
                send(&json!({ "event": "end", "stage": meter.stage, "name": name }));
            }
            Form::Plain => self.show(name, meter),
            Form::Silent => {}
        }
        state.meter = None;
    }
}

impl Listener for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Begin { stage, data, empty, from } => {
                self.begin(Meter::new(stage, *data, *empty, *from));
            }
            Event::Advance { data, empty, written } => self.advance(*data, *empty, *written),
            Event::End => self.end(),
            Event::Detail(text) if self.talk.verbose() => self.say("detail", Talk::detail, text),
            Event::Detail(_) => {}
            Event::Note(text) => self.say("note", Talk::note, text),
            Event::Warn(text) => self.say("warning", Talk::warn, text),
        }
    }
}

fn bar(talk: Talk) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let template = match talk.colored() {
        true => "{bar:25.cyan/dim} {percent:>3} % {prefix} {wide_msg}",
        false => "{bar:25} {percent:>3} % {prefix} {wide_msg}",
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.with_style(style)
}

fn send(event: &serde_json::Value) {
    let _ = io::stderr().lock().write_all(format!("{event}\n").as_bytes());
}

/// Counts bytes and time, data and empty space apart: empty space passes ten times as fast, so
/// one common rate would promise nonsense.
struct Meter {
    stage: &'static str,
    from: u64,
    data: u64,
    empty: u64,
    data_done: u64,
    empty_done: u64,
    written: u64,
    began: Instant,
    last: Instant,
    data_time: Duration,
    empty_time: Duration,
    shown: Instant,
}

impl Meter {
    fn new(stage: &'static str, data: u64, empty: u64, from: u64) -> Self {
        let now = Instant::now();
        Meter {
            stage,
            from,
            data,
            empty,
            data_done: 0,
            empty_done: 0,
            written: 0,
            began: now,
            last: now,
            data_time: Duration::ZERO,
            empty_time: Duration::ZERO,
            shown: now,
        }
    }

    fn take(&mut self, data: u64, empty: u64, written: u64) {
        let passed = self.last.elapsed();
        self.last = Instant::now();
        if data > self.data_done {
            self.data_time += passed;
        } else {
            self.empty_time += passed;
        }
        (self.data_done, self.empty_done, self.written) = (data, empty, written);
    }

    fn total(&self) -> u64 {
        self.from + self.data + self.empty
    }

    fn position(&self) -> u64 {
        (self.from + self.data_done + self.empty_done).min(self.total())
    }

    /// Raw bytes a second, empty ones included, over the whole stage.
    fn rate(&self) -> u64 {
        per_second(self.data_done + self.empty_done, self.began.elapsed())
    }

    /// None as long as it would be a guess.
    fn seconds_left(&self) -> Option<u64> {
        if self.began.elapsed() < Duration::from_secs(1) {
            return None;
        }
        let left = |all: u64, done: u64, time: Duration| {
            let left = all.saturating_sub(done);
            match per_second(done, time) {
                _ if left == 0 => Some(0),
                0 => None,
                rate => Some(left / rate),
            }
        };
        let data = left(self.data, self.data_done, self.data_time)?;
        // Before any empty space was met, the usual time of its digests: 0.8 s per GiB.
        let empty = left(self.empty, self.empty_done, self.empty_time);
        let empty = empty.unwrap_or((self.empty - self.empty_done) / (1_300 << 20));
        Some(data + empty)
    }

    fn words(&self) -> String {
        let mut words = format!(
            "{} of {}, {}/s",
            human(self.position()),
            human(self.total()),
            human(self.rate())
        );
        if let Some(seconds) = self.seconds_left() {
            words.push_str(&format!(", {} left", human_time(seconds)));
        }
        if self.empty_done > 0 {
            words.push_str(&format!(", {} empty", human(self.empty_done)));
        }
        words
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}
