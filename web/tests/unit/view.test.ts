import assert from "node:assert/strict";
import { test } from "node:test";
import { clockOf, DAY, HOUR, MINUTE, SECOND } from "../../src/lib/time.ts";
import { clamp, firstView, follow, lengthOf, pan, SHORTEST, ticks, timeAt, xOf, zoom } from "../../src/lib/view.ts";

const limits = { start: 1000 * DAY, end: 1001 * DAY };

test("zooming keeps what is under the pointer, from a day to a few frames", () => {
  let view = limits;
  const at = limits.start + 7 * HOUR + 123_456;
  for (let turn = 0; turn < 200; turn++) view = zoom(view, 0.9, at, limits);
  assert.ok(Math.abs(lengthOf(view) - SHORTEST) < 1);
  assert.ok(view.start <= at && at <= view.end);
  const wide = zoom({ start: limits.start + HOUR, end: limits.start + 2 * HOUR }, 0.5, limits.start + 1.25 * HOUR, limits);
  assert.ok(Math.abs(xOf(wide, 800, limits.start + 1.25 * HOUR) - 200) < 1e-3);
  for (let turn = 0; turn < 200; turn++) view = zoom(view, 1.2, at, limits);
  assert.deepEqual(view, limits, "and back out to everything, and no further");
});

test("views stay where there is something", () => {
  const hour = { start: limits.start, end: limits.start + HOUR };
  assert.deepEqual(pan(hour, -HOUR, limits), hour);
  assert.deepEqual(pan(hour, 2 * DAY, limits), { start: limits.end - HOUR, end: limits.end });
  assert.deepEqual(clamp({ start: 0, end: 5000 * DAY }, limits), limits);
  const followed = follow(hour, limits.start + 2 * HOUR, limits);
  assert.ok(followed.end > limits.start + 2 * HOUR);
  assert.equal(lengthOf(followed), HOUR);
  assert.equal(follow(hour, limits.start + 30 * MINUTE, limits), hour);
  assert.deepEqual(firstView(limits), { start: limits.end - HOUR, end: limits.end });
});

test("pixels and times are each other's inverse, and marks stand apart at round times", () => {
  for (const length of [SHORTEST, SECOND, MINUTE, HOUR, DAY]) {
    const view = { start: limits.start + 12_345_678, end: limits.start + 12_345_678 + length };
    assert.ok(Math.abs(timeAt(view, 999, xOf(view, 999, view.start + length / 3)) - (view.start + length / 3)) <= 1);
    const marks = ticks(view, 1200, 80, clockOf);
    assert.ok(marks.length >= 2 && marks.length <= 15, `${marks.length} marks of ${length}`);
    for (let number = 1; number < marks.length; number++) assert.ok(marks[number]!.x - marks[number - 1]!.x >= 79.99);
  }
});
