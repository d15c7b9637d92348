// The editor on a telephone: one finger marks and scrubs, two zoom and move.
import assert from "node:assert/strict";
import { test } from "node:test";
import { edit, FPS, frameAt, frames, framesBut, iso, open, point, stillNumber, withBarcode } from "./help.mjs";

const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** Fingers that move together: each from a point to a point, in `steps`. */
async function fingers(page, ways, { steps = 10, apart = false } = {}) {
  const client = await page.context().newCDPSession(page);
  const points = (share, count = ways.length) =>
    ways.slice(0, count).map(([from, to], id) => ({ x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share, id }));
  const send = (type, touchPoints) => client.send("Input.dispatchTouchEvent", { type, touchPoints });
  // Nobody puts two fingers down at once.
  if (apart) {
    await send("touchStart", points(0, 1));
    await send("touchMove", points(0.2, 1));
  }
  await send("touchStart", points(apart ? 0.2 : 0));
  for (let step = 1; step <= steps; step++) await send("touchMove", points(step / steps));
  await send("touchEnd", []);
  await client.detach();
}

const viewOf = (page) =>
  page.evaluate(() => {
    const [start, end] = new URLSearchParams(location.hash.split("?")[1]).get("view").split(",").map((it) => Date.parse(`${it}Z`));
    return { start, end };
  });
const viewChanged = (page, before) =>
  page.waitForFunction((before) => new URLSearchParams(location.hash.split("?")[1]).get("view") !== before, before).then(() => viewOf(page));
const viewText = (page) => page.evaluate(() => new URLSearchParams(location.hash.split("?")[1]).get("view"));

test("with fingers: a span is marked, an edge moved, the playhead dragged", async () => {
  const { page, close } = await open(edit("360p", `at=${iso(1)}`), phone);
  await withBarcode(page, 640);
  assert.equal(await stillNumber(page), FPS);
  await page.locator(".timeline").scrollIntoViewIfNeeded();
  await fingers(page, [[await point(page, 0.35), await point(page, 0.5)]]);
  const first = await frames(page);
  assert.ok(first > 7 * FPS && first < 11 * FPS, `${first} frames`);
  await page.locator(".timeline").scrollIntoViewIfNeeded();
  const box = await page.getByRole("slider", { name: "Range 1: out point" }).boundingBox();
  await fingers(page, [[{ x: box.x + box.width / 2, y: box.y + 40 }, await point(page, 0.57)]]);
  assert.ok((await framesBut(page, first)) > first + 3 * FPS);
  await fingers(page, [[await point(page, 0.2, "ruler"), await point(page, 0.5, "ruler")]]);
  const number = await stillNumber(page);
  const clock = await page.locator(".clock time").getAttribute("datetime");
  assert.equal(number, frameAt(clock));
  assert.ok(Math.abs(number - 30 * FPS) < 2 * FPS, `frame ${number}`);
  await close();
});

test("with two fingers the timeline zooms, and nothing is marked", async () => {
  const { page, close } = await open(edit("360p", `at=${iso(30)}`), phone);
  await page.locator('.screen[data-state="settled"]').waitFor();
  await page.waitForFunction(() => location.hash.includes("view="));
  await page.locator(".timeline").scrollIntoViewIfNeeded();
  const all = await viewOf(page);
  const text = await viewText(page);
  const at = (share) => point(page, share);
  await fingers(page, [[await at(0.4), await at(0.1)], [await at(0.6), await at(0.9)]], { apart: true });
  const closer = await viewChanged(page, text);
  const [before, after] = [all.end - all.start, closer.end - closer.start];
  assert.ok(after < before / 2 && after > before / 8, `${before} ms, then ${after}`);
  const middle = (closer.start + closer.end) / 2;
  assert.ok(Math.abs(middle - (all.start + all.end) / 2) < before / 5, "what is between the fingers stays there");
  // Both in the same direction: the view moves along, and stays as long.
  const then = await viewText(page);
  await fingers(page, [[await at(0.6), await at(0.3)], [await at(0.8), await at(0.5)]]);
  const moved = await viewChanged(page, then);
  assert.ok(moved.start > closer.start + after / 10, "to the left is later");
  assert.ok(Math.abs(moved.end - moved.start - after) < after / 50, "as long as before");
  assert.equal(await page.locator(".range").count(), 0);
  await page.getByText("Mark a span to see what the clip will hold.").waitFor();
  await close();
});

test("a finger that scrolls the page leaves the playhead where it is", async () => {
  const { page, close } = await open(edit("360p", `at=${iso(2)}`), phone);
  await page.locator('.screen[data-state="settled"]').waitFor();
  await page.locator(".timeline").scrollIntoViewIfNeeded();
  const clock = () => page.locator(".clock time").getAttribute("datetime");
  const before = await clock();
  const from = await point(page, 0.7);
  const scrolled = () => page.evaluate(() => scrollY);
  const place = await scrolled();
  await fingers(page, [[from, { x: from.x + 2, y: from.y - 300 }]]);
  await page.waitForFunction((place) => scrollY > place + 50, place);
  assert.equal(await clock(), before);
  await close();
});
