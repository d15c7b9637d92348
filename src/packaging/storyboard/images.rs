//! HLS playlists of sheets: the Image Media Playlist extension of Roku and others, which Shaka Player reads.

use super::{Sheets, Timeline, seconds};
use crate::base::time::SECOND;
use std::fmt::Write as _;

/// The playlist of `timeline`'s sheets. Sheets begin with each run, since a player reckons each tile's time from the start
/// of its sheet and the number before it. It is announced as complete where `complete` says that nothing will follow.
pub fn images(sheets: &Sheets, timeline: &Timeline, complete: bool) -> String {
    let grid = sheets.grid;
    let longest = timeline.runs().iter().map(|it| it.wall.micros().min(grid.sheet_micros())).max();
    let target = (longest.unwrap_or(grid.sheet_micros()) + SECOND - 1) / SECOND;
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-IMAGES-ONLY\n");
    for (number, run) in timeline.runs().iter().enumerate() {
        if number > 0 {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let mut start = run.wall.start;
        while start < run.wall.end {
            let end = (start + grid.sheet_micros()).min(run.wall.end);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{start}Z\n#EXTINF:{},\n\
                 #EXT-X-TILES:RESOLUTION={}x{},LAYOUT={}x{},DURATION={}\n{}\n",
                seconds(end - start),
                grid.width,
                grid.height,
                grid.columns,
                grid.rows,
                seconds(grid.interval),
                sheets.url(start),
            );
            start = end;
        }
    }
    if complete {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, sheets, span};
    use super::*;

    #[test]
    fn a_playlist_in_full() {
        let timeline = Timeline::of_playlist([
            span("2024-11-09T12:50:03", "2024-11-09T12:50:53"),
            span("2024-11-09T12:51:12", "2024-11-09T12:51:14.5"),
        ]);
        let tiles = "#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=10\n";
        let [first, second, third] = ["2024-11-09T12:50:03", "2024-11-09T12:50:43", "2024-11-09T12:51:12"]
            .map(|it| sheets().url(at(it)));
        let expected = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:40\n#EXT-X-IMAGES-ONLY\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:50:03.000000Z\n#EXTINF:40,\n{tiles}{first}\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:50:43.000000Z\n#EXTINF:10,\n{tiles}{second}\n\
             #EXT-X-DISCONTINUITY\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:51:12.000000Z\n#EXTINF:2.5,\n{tiles}{third}\n"
        );
        assert_eq!(images(&sheets(), &timeline, false), expected);
        assert_eq!(images(&sheets(), &timeline, true), format!("{expected}#EXT-X-ENDLIST\n"));
        assert!(images(&sheets(), &Timeline::default(), true).ends_with("ONLY\n#EXT-X-ENDLIST\n"));
    }
}
