//! What a well-known recorder of cameras does, line by line, and where it is shown here; and its faults, which are not made
//! again. A line names tests by file and function; `Other` says why a line does not apply, or what is done instead.

/// Where something is shown.
enum Shown {
    By(&'static [(&'static str, &'static str)]),
    Other(&'static str),
}

use Shown::{By, Other};

const HEAL: &str = "src/live/heal/tests.rs";
const SUPERVISE: &str = "src/live/supervise/tests.rs";
const OPTIONS: &str = "src/live/source/options.rs";
const SOURCE: &str = "src/live/source/mod.rs";
const FAULTS: &str = "tests/it/live/faults.rs";
const SOURCES: &str = "tests/it/live/sources.rs";
const LIFE: &str = "tests/it/live/lifecycle.rs";
const API: &str = "tests/it/live/api.rs";
const PUSH: &str = "tests/it/live/push.rs";
const CLOCK: &str = "src/live/clock.rs";
const RING: &str = "src/live/ring.rs";
const RECORDER: &str = "tests/it/live/recorder.rs";
const ARCHIVED: &str = "tests/it/live/recorder_archive.rs";
const CRASH: &str = "tests/it/live/recorder_crash.rs";
const HLS: &str = "tests/it/live/hls.rs";
const SEGMENTER: &str = "src/live/hls/segmenter/tests.rs";

/// Lines that sources, workers, supervision, recordings and the API answer for. Those of playlists stand with them.
const LINES: &[(u32, Shown)] = &[
    (1, Other("following is part of the server: there is nothing to set up before a stream")),
    (2, By(&[(OPTIONS, "what_libav_is_told"), (FAULTS, "each_stage_has_a_patience_of_its_own")])),
    (3, By(&[(OPTIONS, "what_libav_is_told")])),
    (4, By(&[(OPTIONS, "what_libav_is_told")])),
    (
        5,
        By(&[
            (OPTIONS, "what_is_not_known_or_wrong_is_refused_by_its_key"),
            (API, "what_is_wrong_is_refused_and_named"),
        ]),
    ),
    (6, By(&[(FAULTS, "answers_of_a_server_are_told_apart")])),
    (7, By(&[(FAULTS, "what_is_no_media_is_told"), (FAULTS, "answers_of_a_server_are_told_apart")])),
    (
        8,
        By(&[
            (SOURCE, "addresses_are_read_and_shown_without_secrets"),
            (API, "streams_are_set_up_changed_and_taken_away"),
        ]),
    ),
    (9, By(&[(OPTIONS, "what_libav_is_told")])),
    (10, By(&[(FAULTS, "what_is_no_media_is_told")])),
    (
        11,
        By(&[
            (HEAL, "good_packets_pass_as_they_are"),
            (SOURCES, "cameras_are_followed_whatever_their_groups_of_pictures"),
        ]),
    ),
    (12, By(&[(HEAL, "a_packet_that_came_late_is_left_out_alone")])),
    // There the packets after the one that jumped are lost; here none is.
    (13, By(&[(HEAL, "a_packet_that_jumps_ahead_alone_takes_nothing_with_it")])),
    // There a connection is given up; here an epoch begins.
    (
        14,
        By(&[(HEAL, "jumps_of_the_clock_are_taken_out_and_large_ones_begin_an_epoch_at_the_next_keyframe")]),
    ),
    // There packets without DTS are lost, and the seventh ends the run; here they are derived.
    (15, By(&[(HEAL, "dts_that_are_missing_are_derived")])),
    (16, By(&[(HEAL, "dts_that_are_missing_are_derived")])),
    (17, By(&[(HEAL, "dts_that_are_missing_are_derived")])),
    (18, By(&[(HEAL, "dts_that_are_missing_are_derived")])),
    (19, By(&[(HEAL, "pictures_may_be_shown_in_another_order")])),
    (20, By(&[(HEAL, "a_first_keyframe_is_put_before_the_second_picture")])),
    (21, By(&[(HEAL, "a_first_keyframe_is_put_before_the_second_picture")])),
    (22, By(&[(FAULTS, "times_that_jump_or_run_over_are_no_reason_to_connect_again")])),
    (23, Other("nothing is muxed on the way into the ring; readers of the ring fail by themselves")),
    (24, By(&[(SOURCES, "files_stand_for_sources_over_and_over")])),
    (25, By(&[(SOURCES, "sound_that_never_comes_holds_up_nothing")])),
    (26, By(&[(HEAL, "sound_before_the_first_keyframe_is_left_out")])),
    (27, By(&[(HEAL, "sound_before_the_first_keyframe_is_left_out")])),
    (
        28,
        By(&[
            (SOURCES, "sound_of_telephones_is_a_track"),
            (SOURCES, "sound_that_never_comes_holds_up_nothing"),
        ]),
    ),
    (29, By(&[("src/media/live/intake.rs", "a_transport_stream_becomes_samples")])),
    (30, By(&[(SOURCES, "sound_that_never_comes_holds_up_nothing")])),
    (37, By(&[(FAULTS, "a_connection_that_is_lost_comes_again_and_numbers_count_on")])),
    (56, By(&[(FAULTS, "black_holes_are_left_at_once_when_a_stream_is_stopped")])),
    (57, By(&[(LIFE, "another_source_ends_a_wait_and_a_run_at_once")])),
    // There a source counts as available while it is tried; here once a picture came.
    (58, By(&[(SUPERVISE, "a_camera_that_is_off_is_live_never_and_not_now_and_then")])),
    (59, By(&[(LIFE, "a_stream_begins_when_it_is_watched_and_ends_when_nobody_asks")])),
    (60, By(&[(LIFE, "a_stream_begins_when_it_is_watched_and_ends_when_nobody_asks")])),
    (61, By(&[(LIFE, "a_stream_that_is_kept_alive_needs_no_viewer")])),
    // There waits grow by ten seconds without an end; here they double up to a cap.
    (
        62,
        By(&[
            (SUPERVISE, "tries_come_quickly_first_then_rarer_up_to_the_cap"),
            (SUPERVISE, "a_healthy_run_makes_the_next_try_quick_again"),
        ]),
    ),
    (63, By(&[(API, "a_server_that_stops_leaves_no_source_behind")])),
    (64, By(&[(LIFE, "streams_are_taken_up_as_they_were_left")])),
    (65, By(&[(SUPERVISE, "a_camera_that_is_off_is_live_never_and_not_now_and_then")])),
    (66, By(&[(API, "what_is_wrong_is_refused_and_named")])),
    (
        67,
        By(&[
            (SUPERVISE, "an_update_in_the_middle_of_a_wait_begins_at_once"),
            (LIFE, "another_source_ends_a_wait_and_a_run_at_once"),
        ]),
    ),
    (68, By(&[(RECORDER, "an_idle_stream_is_recorded_from_its_first_picture_and_silence_is_no_track")])),
    (69, By(&[(RECORDER, "overlapping_clips_have_exactly_the_packets_of_the_source")])),
    // There a second recording is refused; here any number runs at once, each with a name of its own.
    (70, By(&[(RECORDER, "only_names_in_the_folder_are_taken_once_and_not_too_many")])),
    (71, By(&[(RECORDER, "an_interrupted_source_is_one_film_and_another_codec_another_file")])),
    (
        72,
        By(&[
            (FAULTS, "what_is_no_media_is_told"),
            (RECORDER, "a_stream_that_brings_nothing_fails_in_time_and_leaves_no_file"),
        ]),
    ),
    (
        73,
        By(&[
            (FAULTS, "answers_of_a_server_are_told_apart"),
            (SOURCE, "addresses_are_read_and_shown_without_secrets"),
        ]),
    ),
    (74, By(&[(RECORDER, "how_pictures_are_turned_stands_in_the_head_from_the_start")])),
    (
        75,
        By(&[
            (RECORDER, "overlapping_clips_have_exactly_the_packets_of_the_source"),
            (ARCHIVED, "a_clip_reaches_back_over_the_ring_into_the_archive"),
        ]),
    ),
    (
        76,
        By(&[
            (RECORDER, "an_interrupted_source_is_one_film_and_another_codec_another_file"),
            (ARCHIVED, "a_clip_reaches_back_over_the_ring_into_the_archive"),
        ]),
    ),
    // Among much else: turned, the same again with the same tag, another after the next keyframe, refused where there is none.
    (77, By(&[(ARCHIVED, "what_is_live_is_cut_framed_and_drawn_as_soon_as_it_is_there")])),
    // There without a source it is a fault of the server; here it is a picture that is not there.
    (78, By(&[(ARCHIVED, "what_is_live_is_cut_framed_and_drawn_as_soon_as_it_is_there")])),
    (
        79,
        By(&[
            (ARCHIVED, "what_is_live_is_cut_framed_and_drawn_as_soon_as_it_is_there"),
            (SOURCES, "a_picture_is_one_of_now_where_the_source_brings_any"),
        ]),
    ),
    (
        80,
        By(&[
            (API, "streams_are_set_up_changed_and_taken_away"),
            ("src/live/stats.rs", "figures_are_those_of_the_source"),
        ]),
    ),
    (
        81,
        Other(
            "libav is never let write: its words become errors with causes, which are logged once for each change",
        ),
    ),
];

/// Faults that are not made again.
const DEFECTS: &[(u32, Shown)] = &[
    (1, By(&[(LIFE, "another_source_ends_a_wait_and_a_run_at_once")])),
    (
        2,
        By(&[
            (SOURCES, "sound_that_never_comes_holds_up_nothing"),
            (HLS, "silent_and_late_sound_keep_the_rules"),
            (SEGMENTER, "silence_takes_the_place_of_sound_that_is_told_of"),
        ]),
    ),
    (
        3,
        By(&[
            (RECORDER, "overlapping_clips_have_exactly_the_packets_of_the_source"),
            (CRASH, "a_killed_recording_loses_a_part_at_most_and_plays"),
        ]),
    ),
    (4, By(&[(SOURCES, "sound_is_a_track_from_the_first_picture_on_whatever_it_is_coded_as")])),
    (5, By(&[(LIFE, "a_dead_camera_is_not_tried_for_nobody")])),
    (6, By(&[(SUPERVISE, "nobody_asking_ends_it_and_a_dead_source_is_not_tried_for_nobody")])),
    (7, By(&[(HLS, "restarts_and_other_codecs_are_discontinuities_with_heads_of_their_own")])),
    (8, By(&[(ARCHIVED, "what_is_live_is_cut_framed_and_drawn_as_soon_as_it_is_there")])),
    (9, By(&[("src/packaging/low_latency.rs", "targets_round_to_the_nearest")])),
    (10, By(&[(RECORDER, "a_stream_that_brings_nothing_fails_in_time_and_leaves_no_file")])),
    (
        11,
        By(&[
            (SOURCES, "wall_times_are_the_cameras_where_it_tells_them"),
            (CLOCK, "a_day_by_the_sources_clock_is_exact_to_a_frame"),
        ]),
    ),
    (12, By(&[(RING, "bytes_are_bounded_but_the_newest_stays")])),
    (
        13,
        By(&[
            (API, "streams_are_set_up_changed_and_taken_away"),
            (API, "there_are_no_more_streams_than_allowed"),
        ]),
    ),
    (14, Other("what is known of an input belongs to its run; the next run finds it out anew")),
    (
        15,
        By(&[
            (FAULTS, "black_holes_are_left_at_once_when_a_stream_is_stopped"),
            (LIFE, "a_call_that_blocks_is_left_for_another_source"),
        ]),
    ),
    (16, By(&[(HEAL, "a_first_keyframe_is_put_before_the_second_picture")])),
    (
        17,
        By(&[
            ("src/live/stats.rs", "figures_are_those_of_the_source"),
            (API, "streams_are_set_up_changed_and_taken_away"),
        ]),
    ),
];

#[test]
fn every_line_names_a_test_there_is_or_why_there_is_none() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(std::path::Path::new(root).join(PUSH).is_file());
    for (number, shown) in LINES.iter().chain(DEFECTS) {
        match shown {
            By(tests) => {
                for (file, name) in *tests {
                    let text = std::fs::read_to_string(root.join(file)).expect(file);
                    let place = text.find(&format!("fn {name}()"));
                    let place = place.unwrap_or_else(|| panic!("{number}: {file} has no {name}"));
                    assert!(text[..place].trim_end().ends_with("#[test]"), "{number}: {name} is no test");
                }
            }
            Other(why) => assert!(why.len() > 20, "{number}"),
        }
    }
    let numbers: Vec<u32> = LINES.iter().map(|it| it.0).collect();
    // Those between stand in contract_hls.rs.
    let mine = (1..=30).chain([37]).chain(56..=81);
    assert_eq!(numbers, mine.collect::<Vec<u32>>());
    let defects: Vec<u32> = DEFECTS.iter().map(|it| it.0).collect();
    assert_eq!(defects, (1..=17).collect::<Vec<u32>>());
}
