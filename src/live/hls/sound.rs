//! Sound that players do not take is made into AAC, for as long as somebody listens.

use crate::live::Epoch;
use crate::media::live::Sample;
use std::sync::Arc;

#[derive(Default)]
pub struct Sound;

impl Sound {
    pub fn take(
        &mut self,
        epoch: &Arc<Epoch>,
        sample: &Arc<Sample>,
        mut give: impl FnMut(&Arc<Epoch>, &Arc<Sample>),
    ) {
        give(epoch, sample);
    }
}
