import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatDuration, formatTime, MINUTE, parseTime, roughDuration, SECOND } from "../../src/lib/time.ts";

const at = (text: string): number => {
  const time = parseTime(text);
  assert.notEqual(time, null, text);
  return time!;
};

test("times are read and written to the microsecond", () => {
  for (const text of ["2025-06-01T12:00:00.123456", "1969-12-31T23:59:59.000001", "2024-02-29T00:00:00.000000"]) {
    assert.equal(formatTime(at(text), 6), text);
  }
  assert.equal(formatTime(at("2025-06-01T12:00:00.500Z")), "2025-06-01T12:00:00.5");
  assert.equal(formatTime(at("2025-06-01T12:00:00")), "2025-06-01T12:00:00");
  assert.equal(formatTime(at("2025-06-01T12:00:10")), "2025-06-01T12:00:10", "zeros of the seconds stay");
  assert.equal(formatTime(at("2025-06-01 12:00:00,25"), 3), "2025-06-01T12:00:00.250");
  assert.equal(at("2025-06-01T12") % (60 * MINUTE), 0);
});

test("what is no time is refused", () => {
  for (const text of ["", "noon", "12:00", "2025-06-31T00:00:00", "2025-06-01T24:00:00", "2025-06-01T12:00:60", "2025-06-01T12:00:00.1234567", "2025-06-01T12:00:00+02:00"]) {
    assert.equal(parseTime(text), null, text);
  }
});

test("a clock time is one of the day it stands in", () => {
  const near = at("2025-06-01T12:34:56");
  assert.equal(parseTime("9:05:00.25", near), at("2025-06-01T09:05:00.25"));
  assert.equal(parseTime("23:59", near), at("2025-06-01T23:59:00"));
  assert.equal(parseTime("24:00", near), null);
  assert.equal(parseTime("9:60:00", near), null);
});

test("lengths and sizes are told as people tell them", () => {
  assert.equal(formatDuration(4.25 * SECOND), "4.25 s");
  assert.equal(formatDuration(62.5 * SECOND), "1:02.5");
  assert.equal(formatDuration(59.97 * SECOND), "1:00.0");
  assert.equal(formatDuration(119.96 * SECOND), "2:00.0");
  assert.equal(formatDuration(9.999 * SECOND), "10.0 s");
  assert.equal(formatDuration(3607 * SECOND), "1:00:07");
  assert.equal(roughDuration(90 * SECOND), "90 s");
  assert.equal(roughDuration(125 * MINUTE), "2 h 5 min");
  assert.equal(formatBytes(999), "999 B");
  assert.equal(formatBytes(20_988_132), "21.0 MB");
});
