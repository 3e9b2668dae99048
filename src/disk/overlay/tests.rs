use proptest::prelude::*;

use std::time::Duration;

use super::*;

/// Bytes in memory; every other 8 KiB are a hole.
struct Memory(Vec<u8>);

impl Memory {
    fn new(len: usize) -> Self {
        let byte = |i: usize| if (i / 8192).is_multiple_of(2) { (i % 251) as u8 + 1 } else { 0 };
        Memory((0..len).map(byte).collect())
    }
}

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        let len = (8192 - offset % 8192).min(max).min(self.size() - offset);
        let zero = offset / 8192 % 2 == 1;
        Ok(Extent { len, content: if zero { Content::Zero } else { Content::Data } })
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.copy_from_slice(&self.0[offset as usize..][..buf.len()]);
        Ok(())
    }
}

const LEN: usize = 100_000;

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize, u8),
    Zero(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..LEN, 0..20_000_usize).prop_map(|(at, len)| (at, len.min(LEN - at)));
    (place, any::<u8>(), any::<bool>()).prop_map(|((at, len), byte, write)| match write {
        true => Step::Write(at, len, byte),
        false => Step::Zero(at, len),
    })
}

proptest! {
    #[test]
    fn an_overlay_is_the_disk_with_the_writes(steps in prop::collection::vec(step(), 0..40)) {
        let memory = Memory::new(LEN);
        let mut model = memory.0.clone();
        let overlay = Overlay::new(Arc::new(memory), Budget::new(Limits::default()));
        for step in &steps {
            match *step {
                Step::Write(at, len, byte) => {
                    overlay.write_at(&vec![byte; len], at as u64).unwrap();
                    model[at..at + len].fill(byte);
                }
                Step::Zero(at, len) => {
                    overlay.zero(at as u64, len as u64).unwrap();
                    model[at..at + len].fill(0);
                }
            }
        }
        let mut now = vec![1; LEN];
        overlay.read_at(&mut now, 0).unwrap();
        prop_assert!(now == model);
        let edited = overlay.freeze().unwrap();
        edited.read_at(&mut now, 0).unwrap();
        prop_assert!(now == model);
        let mut at = 0;
        while at < LEN {
            let extent = edited.extent_at(at as u64, 7_000).unwrap();
            prop_assert!((1..=7_000).contains(&extent.len));
            let range = &model[at..at + extent.len as usize];
            prop_assert!(extent.content == Content::Data || range.iter().all(|b| *b == 0));
            at += extent.len as usize;
        }
        prop_assert_eq!(at, LEN);
    }
}

#[test]
fn writing_what_is_there_is_no_change() {
    let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Budget::new(Limits::default()));
    let mut all = vec![0; LEN];
    overlay.read_at(&mut all, 0).unwrap();
    overlay.write_at(&all, 0).unwrap();
    assert!(overlay.freeze().unwrap().is_unchanged());
}

#[test]
fn zeroing_costs_no_memory_and_is_an_empty_extent() {
    let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Budget::new(Limits::default()));
    overlay.zero(100, 50_000).unwrap();
    overlay.zero(50_100, 100).unwrap();
    let edited = overlay.freeze().unwrap();
    assert_eq!(edited.changed_bytes(), (0, 50_100));
    let extent = edited.extent_at(100, u64::MAX).unwrap();
    assert_eq!(extent, Extent { len: 50_100, content: Content::Zero });
}

#[test]
fn every_limit_ends_in_an_error() {
    let limits = [
        Limits { chunks: 2, ..Limits::default() },
        Limits { ranges: 2, ..Limits::default() },
        Limits { read: 9_000, ..Limits::default() },
        Limits { time: Duration::ZERO, ..Limits::default() },
    ];
    for limits in limits {
        let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Budget::new(limits));
        let work = || -> Result<()> {
            for i in 0..5 {
                overlay.zero(i * 10_000, 10)?;
                overlay.write_at(&[1], i * 10_000 + 5_000)?;
                overlay.read_at(&mut [0; 4096], 0)?;
            }
            Ok(())
        };
        assert_eq!(work().unwrap_err().code(), "guest-limit", "{limits:?}");
    }
    let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Budget::new(Limits::default()));
    for (at, len) in [(LEN as u64, 1), (u64::MAX, 1), (1, u64::MAX)] {
        assert_eq!(overlay.zero(at, len).unwrap_err().code(), "guest-beyond-disk");
    }
}
