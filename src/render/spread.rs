//! Work on many segments, spread over the seats of a lane.

use super::Render;
use crate::base::time::MINUTE;
use crate::base::{Kind, Result, Token};
use crate::pool::Lane;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

/// Media not kept yet that is worked on in the interactive lane: half an hour of sound is half a second of decoding. More is
/// work for the batch lane, and frames do not wait for it.
const INTERACTIVE_MICROS: i64 = 30 * MINUTE;

/// The lane for so much media in all.
pub(super) fn lane_for(micros: i64) -> Lane {
    if micros <= INTERACTIVE_MICROS { Lane::Interactive } else { Lane::Batch }
}

impl Render {
    /// Calls `work` with each number below `count` on the seats of a lane, and gives the answers in order.
    ///
    /// # Errors
    /// The first there is; what is left is given up.
    pub(super) async fn spread<T, F>(
        &self,
        lane: Lane,
        count: usize,
        token: &Token,
        work: F,
    ) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(usize, &Token) -> Result<T> + Clone + Send + 'static,
    {
        let pool = &self.config.pool;
        let seats = if lane == Lane::Interactive { pool.interactive_seats } else { pool.batch_seats };
        let mut running = FuturesOrdered::new();
        let mut done = Vec::with_capacity(count);
        for number in 0..count {
            if running.len() >= seats {
                done.extend(running.next().await.transpose()?);
            }
            loop {
                let work = work.clone();
                match self.pool.submit(lane, token, move |token: &Token| work(number, token)) {
                    Ok(ticket) => break running.push_back(ticket),
                    // The queue is full: of others' work. Ours goes on as it is done.
                    Err(busy) if busy.kind == Kind::Busy && !running.is_empty() => {
                        done.extend(running.next().await.transpose()?);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        while let Some(answer) = running.next().await {
            done.push(answer?);
        }
        Ok(done)
    }
}
