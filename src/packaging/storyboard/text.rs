//! Storyboards as WebVTT and as JSON.

use super::{Cue, Grid, Sheets, Timeline, seconds};
use crate::base::Timestamp;
use crate::base::time::{HOUR, MINUTE, SECOND};
use serde::Serialize;
use std::fmt::Write as _;

/// Hours, minutes and seconds with three digits of fraction: WebVTT takes fewer, its readers do not all.
fn clock(micros: i64) -> String {
    let millis = (micros.max(0) + 500) / 1000 * 1000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        millis / HOUR,
        millis / MINUTE % 60,
        millis / SECOND % 60,
        millis % SECOND / 1000
    )
}

/// WebVTT (W3C) whose cues are the addresses of tiles, with their place on the sheet as a media fragment (W3C Media
/// Fragments 1.0 §4.2.2), in pixels.
pub fn vtt(sheets: &Sheets, timeline: &Timeline) -> String {
    let mut text = String::from("WEBVTT\n");
    let mut sheet = (None, String::new());
    for cue in sheets.cues(timeline) {
        let url = of_sheet(&mut sheet, sheets, cue.sheet);
        let (x, y) = sheets.grid.corner(cue.tile);
        let Grid { width, height, .. } = sheets.grid;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{} --> {}\n{url}#xywh={x},{y},{width},{height}\n",
            clock(cue.start),
            clock(cue.end)
        );
    }
    text
}

/// The address of a cue's sheet, which is mostly that of the cue before.
fn of_sheet<'a>(last: &'a mut (Option<Timestamp>, String), sheets: &Sheets, start: Timestamp) -> &'a str {
    if last.0 != Some(start) {
        *last = (Some(start), sheets.url(start));
    }
    &last.1
}

fn number(micros: i64) -> serde_json::Value {
    seconds(micros).parse().map_or(serde_json::Value::Null, serde_json::Value::Number)
}

/// The tiles of one sheet, which begins at the origin, as Mux writes them: one picture, and the place of each tile there.
pub fn json_sheet(sheets: &Sheets, timeline: &Timeline) -> Vec<u8> {
    #[derive(Serialize)]
    struct Tile {
        start: serde_json::Value,
        x: u32,
        y: u32,
    }
    let tile = |cue: Cue| {
        let (x, y) = sheets.grid.corner(cue.tile);
        Tile { start: number(cue.start), x, y }
    };
    let tiles: Vec<Tile> = sheets.cues(timeline).map(tile).collect();
    let value = serde_json::json!({
        "url": sheets.url(sheets.origin),
        "tile_width": sheets.grid.width,
        "tile_height": sheets.grid.height,
        "duration": number(timeline.duration()),
        "tiles": tiles,
    });
    value.to_string().into_bytes()
}

/// Tiles of any number of sheets, as an array: what vidstack and other players take as a list of thumbnails.
pub fn json_list(sheets: &Sheets, timeline: &Timeline) -> Vec<u8> {
    let mut sheet = (None, String::new());
    let Grid { width, height, .. } = sheets.grid;
    let tiles: Vec<serde_json::Value> = sheets
        .cues(timeline)
        .map(|cue| {
            let url = of_sheet(&mut sheet, sheets, cue.sheet);
            let (x, y) = sheets.grid.corner(cue.tile);
            serde_json::json!({
                "url": url, "startTime": number(cue.start), "endTime": number(cue.end),
                "width": width, "height": height, "coords": { "x": x, "y": y },
            })
        })
        .collect();
    serde_json::Value::Array(tiles).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::Timeline;
    use super::super::tests::{at, sheets, span};
    use super::*;

    #[test]
    fn vtt_in_full() {
        let timeline = Timeline::of_wall(span("2024-11-09T12:50:25", "2024-11-09T12:50:41.2345"));
        let (first, second) =
            (sheets().url(at("2024-11-09T12:50:00")), sheets().url(at("2024-11-09T12:50:40")));
        assert_eq!(
            vtt(&sheets(), &timeline),
            format!(
                "WEBVTT\n\n00:00:00.000 --> 00:00:05.000\n{first}#xywh=0,90,160,90\n\n\
                 00:00:05.000 --> 00:00:15.000\n{first}#xywh=160,90,160,90\n\n\
                 00:00:15.000 --> 00:00:16.235\n{second}#xywh=0,0,160,90\n"
            )
        );
        assert_eq!(clock(100 * HOUR + 61 * SECOND + 999_600), "100:01:02.000");
    }

    #[test]
    fn json_in_full() {
        let timeline = Timeline::of_wall(span("2024-11-09T12:50:25", "2024-11-09T12:50:37.5"));
        let own = Sheets { base: "http://h/".into(), origin: at("2024-11-09T12:50:25"), ..sheets() };
        let value: serde_json::Value = serde_json::from_slice(&json_sheet(&own, &timeline)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "url": own.url(own.origin), "tile_width": 160, "tile_height": 90, "duration": 12.5,
                "tiles": [{ "start": 0, "x": 0, "y": 0 }, { "start": 10, "x": 160, "y": 0 }],
            })
        );
        assert!(value["url"].as_str().unwrap().starts_with("http://h/sheet.jpg?"));
        let value: serde_json::Value = serde_json::from_slice(&json_list(&sheets(), &timeline)).unwrap();
        assert_eq!(value[1]["startTime"], 5);
        assert_eq!(value[1]["endTime"], 12.5);
        assert_eq!(value[1]["coords"]["x"], 160);
    }
}
