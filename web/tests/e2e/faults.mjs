// What the page shows while parts of the server fail: never nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { edit, FPS, frames, iso, open, point, stillNumber, withBarcode } from "./help.mjs";

const DETAIL = "The server is stopping.";
const problem = (status) => ({
  status,
  contentType: "application/problem+json",
  body: JSON.stringify({ type: "about:blank", title: "Not now", status, code: "cancelled", detail: DETAIL }),
});

test("whatever route fails, the rest of a page is there and the problem is told", async () => {
  let failing = [];
  const fail = (page) => page.route((url) => failing.some((root) => url.pathname.startsWith(root)), (route) => route.fulfill(problem(500)));
  const { page, close } = await open("#/nowhere", { spoil: fail });
  const go = (hash) => page.evaluate((hash) => (location.hash = hash), hash);
  const editor = edit("360p", `range=${iso(1)},${iso(3)}`, `at=${iso(1)}`);
  for (const [hash, roots, told, there] of [
    ["#/", ["/files"], DETAIL, "Channels"],
    ["#/", ["/coverage/"], null, "Open in the editor"],
    [editor, ["/files", "/coverage"], DETAIL, "Back to the channels"],
    [editor, ["/frame/"], DETAIL, "Frames"],
    [editor, ["/cut/"], DETAIL, "Range"],
    // Decoration: without it the editor is the same, and quiet.
    [editor, ["/storyboard/", "/waveform/", "/scenes/", "/silence/", "/transitions"], null, "Frames"],
    ["#/live", ["/streams"], DETAIL, "Live streams"],
    ["#/recordings", ["/recordings"], DETAIL, "Recordings"],
    [`#/thumbnails?channel=demo&quality=360p&at=${iso(1)}`, ["/templates"], DETAIL, "The frame"],
    ["#/jobs", ["/jobs"], DETAIL, "Jobs"],
    ["#/status", ["/metrics", "/health"], DETAIL, "takes no requests"],
  ]) {
    failing = roots;
    await go("#/nowhere");
    await page.getByText("There is no such page").waitFor();
    await go(hash);
    await page.getByRole("main").getByText(there).first().waitFor();
    if (told) await page.getByText(told).first().waitFor();
    if (hash === editor && !told) assert.equal(await frames(page), 2 * FPS, `without ${roots}`);
  }
  await close();
});

test("a server that is busy for a moment is asked again", async () => {
  let refused = 0;
  const busy = (page) =>
    page.route(
      (url) => url.pathname.startsWith("/frame/") || url.searchParams.has("receipt"),
      (route) => (refused++ < 4 ? route.fulfill({ ...problem(503), headers: { "Retry-After": "0" } }) : route.continue()),
    );
  const { page, close } = await open(edit("360p", `range=${iso(1)},${iso(3)}`, `at=${iso(1)}`), { spoil: busy });
  await withBarcode(page, 640);
  assert.equal(await stillNumber(page), FPS);
  assert.equal(await frames(page), 2 * FPS);
  assert.ok(refused > 4);
  await close();
});

test("a server that is gone is told of, and found again", async () => {
  let gone = false;
  const cut = (page) => page.route("**/*", (route) => (gone ? route.abort("connectionrefused") : route.continue()));
  const { page, close } = await open(edit("360p", `range=${iso(1)},${iso(3)}`, `at=${iso(1)}`), { spoil: cut });
  await withBarcode(page, 640);
  assert.equal(await stillNumber(page), FPS);
  gone = true;
  const far = await point(page, 0.7, "ruler");
  await page.mouse.click(far.x, far.y);
  const screen = page.locator(".screen");
  await screen.getByText("The server cannot be reached.").waitFor();
  assert.equal(await screen.locator("img").count(), 0, "no picture of another instant");
  await page.getByLabel("Out", { exact: true }).first().fill(iso(4));
  await page.getByLabel("Out", { exact: true }).first().press("Enter");
  await page.locator(".estimate").getByText("The server cannot be reached.").waitFor();
  gone = false;
  await page.locator(".estimate").getByRole("button", { name: "Try again" }).click();
  assert.equal(await frames(page), 3 * FPS);
  await screen.getByRole("button", { name: "Try again" }).click();
  const number = await stillNumber(page);
  assert.ok(Math.abs(number - 0.7 * 60 * FPS) < 2 * FPS, `frame ${number}`);
  await close();
});
