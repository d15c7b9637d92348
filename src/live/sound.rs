//! Sound that neither players nor the archive's form take is made into AAC by those who need it, while they need it: the ring
//! keeps it as it came.

use crate::live::Epoch;
use crate::media::live::aac::Converter;
use crate::media::live::{Sample, TrackKind};
use std::sync::Arc;

/// What stands between the ring and who reads it.
#[derive(Default)]
pub struct Sound {
    open: Option<Open>,
}

struct Open {
    number: u64,
    /// With the track that is made.
    epoch: Arc<Epoch>,
    /// Of this track, where it is needed and can be had.
    converter: Option<(usize, Converter)>,
}

impl Open {
    fn new(epoch: &Arc<Epoch>) -> Self {
        let plain = || Self { number: epoch.number, epoch: Arc::clone(epoch), converter: None };
        let first = epoch.tracks.iter().position(|it| it.kind == TrackKind::Audio);
        let Some(track) = first.filter(|it| epoch.tracks[*it].entry.is_none()) else { return plain() };
        match Converter::new(&epoch.tracks[track]) {
            None => plain(),
            Some(Err(error)) => {
                tracing::warn!("the sound cannot be made into AAC: {error}");
                plain()
            }
            Some(Ok((converter, made))) => {
                let mut tracks = epoch.tracks.clone();
                tracks[track] = made;
                let epoch = Arc::new(Epoch { number: epoch.number, tracks, cause: epoch.cause });
                Self { number: epoch.number, epoch, converter: Some((track, converter)) }
            }
        }
    }
}

impl Sound {
    /// Takes a sample of the ring, and gives what becomes of it.
    pub fn take(
        &mut self,
        epoch: &Arc<Epoch>,
        sample: &Arc<Sample>,
        mut give: impl FnMut(&Arc<Epoch>, &Arc<Sample>),
    ) {
        if self.open.as_ref().is_none_or(|it| it.number != epoch.number) {
            self.open = Some(Open::new(epoch));
        }
        let Some(Open { epoch, converter, .. }) = &mut self.open else { return };
        match converter {
            Some((track, converter)) if *track == sample.track => {
                let done = converter.take(sample, |made| give(epoch, &Arc::new(made)));
                if let Err(error) = done {
                    tracing::debug!("a frame of sound was not made into AAC: {error}");
                }
            }
            _ => give(epoch, sample),
        }
    }
}
