// The editor, used with a mouse and with keys.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { agrees, drag, edit, FPS, frameAt, frames, framesBut, iso, open, point, SECONDS, stillNumber, withBarcode } from "./help.mjs";

test("a newcomer opens the demo, drags a span, and has the clip", async () => {
  const { page, close } = await open();
  await page.getByRole("heading", { name: "demo" }).waitFor();
  const bar = page.getByRole("link", { name: /720p, 2025-06-01: 5\d s recorded/ });
  await bar.waitFor();
  await bar.click({ position: { x: 40, y: 10 } });
  await page.locator(".timeline canvas").waitFor();
  assert.match(page.url(), /#\/edit\/demo\/720p\?/);
  await page.getByText("Mark a span to see what the clip will hold.").waitFor();

  await drag(page, await point(page, 0.02), await point(page, 0.12));
  const first = await frames(page);
  assert.ok(first > 3 * FPS && first < 9 * FPS, `${first} frames`);
  const handle = page.getByRole("slider", { name: "Range 1: out point" });
  const box = await handle.boundingBox();
  await drag(page, { x: box.x + box.width / 2, y: box.y + 40 }, await point(page, 0.2));
  const second = await framesBut(page, first);
  assert.ok(second > first + FPS, `${second} frames after ${first}`);

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  assert.match(download.suggestedFilename(), /^demo_720p_2025-06-01T.*\.mp4$/);
  const bytes = statSync(await download.path()).size;
  // Once it was prepared its length is known exactly.
  await page.waitForFunction(() => document.querySelector("dd[data-bytes]")?.getAttribute("data-bytes") !== "");
  assert.equal(Number(await page.locator("dd[data-bytes]").getAttribute("data-bytes")), bytes);
  await close();
});

test("the preview is the cut itself, and plays its frames", async () => {
  const { page, close } = await open(edit("720p", `range=${iso(3.5)},${iso(9.1)}`));
  await withBarcode(page);
  assert.equal(await frames(page), 168);
  await page.getByRole("button", { name: "Preview", exact: false }).click();
  await page.waitForFunction(() => (document.querySelector("dialog video")?.currentTime ?? 0) > 0.5);
  await agrees(page, "dialog video", 105);
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await close();
});

test("a link reopens the same edit", async () => {
  const { page, close } = await open(edit("360p", `range=${iso(1)},${iso(3)}`, `range=${iso(40)},${iso(42)}`));
  await withBarcode(page, 640);
  assert.equal(await frames(page), 120);
  await page.getByLabel("Name of range 2").fill("the end");
  await page.getByLabel("Container").selectOption("mkv");
  await page.getByLabel("Snap to keyframes").check();
  await page.getByLabel("In", { exact: true }).first().fill("25:99");
  await page.getByLabel("In", { exact: true }).first().press("Enter");
  await page.getByRole("alert").getByText("A time such as").waitFor();
  await page.getByLabel("In", { exact: true }).first().fill(iso(1.5));
  await page.getByLabel("In", { exact: true }).first().press("Enter");
  assert.equal(await framesBut(page, 120), 105);
  const shown = await stillNumber(page);
  await page.waitForFunction(() => location.hash.includes("name=the+end") && location.hash.includes("snap=1"));
  await page.reload();
  assert.equal(await frames(page), 105);
  await withBarcode(page, 640);
  assert.equal(await page.getByLabel("Name of range 2").inputValue(), "the end");
  assert.equal(await page.getByLabel("Container").inputValue(), "mkv");
  assert.equal(await page.getByLabel("Snap to keyframes").isChecked(), true);
  assert.equal(await stillNumber(page), shown);
  // Another link to the same channel opens another edit, and Back the first one.
  await page.evaluate((hash) => (location.hash = hash), edit("360p", `range=${iso(2)},${iso(3)}`));
  await page.waitForFunction(() => document.querySelector('.facts[aria-busy="false"]')?.getAttribute("data-frames") === "30");
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('.facts[aria-busy="false"]')?.getAttribute("data-frames") === "105");
  await close();
});

test("two ranges go over into each other", async () => {
  const range = (from, to) => `range=${iso(from).replace(/\.000$/, "")},${iso(to).replace(/\.000$/, "")}`;
  const { page, close } = await open(edit("360p", range(1, 5), range(40, 44), "container=ts"), { permissions: ["clipboard-read", "clipboard-write"] });
  await withBarcode(page, 640);
  assert.equal(await frames(page), 240);
  await page.getByLabel("Transition after range 1").selectOption("fade");
  assert.equal(await framesBut(page, 240), 210);
  await page.getByRole("button", { name: "Look at the transition" }).click();
  await page.waitForFunction(() => (document.querySelector("dialog video")?.currentTime ?? 0) > 1);
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("button", { name: "Move range 2 up" }).click();
  // What is copied is the edit as it is now, also before the address has followed.
  await page.getByRole("button", { name: "Edit link" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(link.includes(`${range(40, 44)}&${range(1, 5)}`), link);
  await page.waitForFunction((order) => location.hash.includes(order), `${range(40, 44)}&${range(1, 5)}`);
  assert.equal(await frames(page), 210);
  await close();
});

test("a hole is refused until it is allowed", async () => {
  const { page, close } = await open(edit("360p", `range=${iso(10)},${iso(24)}`));
  const notice = page.getByText("Requested time range contains holes or is incomplete.");
  await notice.waitFor();
  await page.getByText("11:59:44.000 to 11:59:50.000").waitFor();
  assert.equal(await page.getByRole("button", { name: "Download" }).isDisabled(), true);
  await page.getByRole("button", { name: "Skip the holes" }).click();
  await notice.waitFor({ state: "detached" });
  assert.equal(await frames(page), 8 * FPS);
  await page.getByLabel("Holes").selectOption("black");
  assert.equal(await framesBut(page, 8 * FPS), 14 * FPS);
  await page.locator(".timeline").waitFor();
  await close();
});

test("the player shows what the clock says, and stops on exactly that frame", async () => {
  const { page, close } = await open(edit("720p", `at=${iso(2)}`));
  await withBarcode(page);
  assert.equal(await stillNumber(page), 60);
  await page.getByRole("button", { name: "Play" }).click();
  await page.waitForFunction(() => (document.querySelector(".screen video")?.currentTime ?? 0) > 0.7);
  // Of a picture on screen and the clock beside it, in one moment.
  const seen = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const video = document.querySelector(".screen video");
        const each = () => {
          const number = globalThis.barcode(video);
          requestAnimationFrame(() => requestAnimationFrame(() => resolve({ number, clock: document.querySelector(".clock time").dateTime })));
        };
        video.requestVideoFrameCallback(each);
      }),
  );
  const clock = frameAt(seen.clock);
  assert.ok(seen.number > 60 && clock >= seen.number && clock - seen.number <= 2 * FPS, `frame ${seen.number} while the clock says ${clock}`);
  await page.keyboard.press("k");
  const stopped = await stillNumber(page);
  await page.waitForFunction((stopped) => globalThis.barcode(document.querySelector(".screen video")) === stopped, stopped, { timeout: 5000 }).catch(() => undefined);
  const inVideo = await page.evaluate(() => globalThis.barcode(document.querySelector(".screen video")));
  assert.equal(stopped, inVideo, "the still is the frame the player stopped at");
  await close();
});

test("everything with keys alone", async () => {
  const { page, close } = await open();
  await page.getByRole("link", { name: /360p, 2025-06-01: 5\d s/ }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".timeline canvas").waitFor();
  await withBarcode(page, 640);
  await page.keyboard.press("Home");
  assert.equal(await stillNumber(page), 0);
  for (let turn = 0; turn < 7; turn++) await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.querySelector(".screen")?.dataset.state === "settled");
  assert.equal(await stillNumber(page), 7);
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => globalThis.barcode(document.querySelector('.screen[data-state="settled"] img') ?? new Image()) === 6);
  await page.keyboard.press("i");
  await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  assert.equal(await stillNumber(page), 66);
  await page.keyboard.press("o");
  // From frame 6 to frame 66, both of them in it.
  await page.waitForFunction(() => document.querySelector('.facts[aria-busy="false"]')?.getAttribute("data-frames") === "61");
  await page.getByRole("slider", { name: "Range 1: in point" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.querySelector('.facts[aria-busy="false"]')?.getAttribute("data-frames") === "60");
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => document.querySelector('.facts[aria-busy="false"]')?.getAttribute("data-frames") === "61");
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("d")]);
  assert.ok(statSync(await download.path()).size > 10_000);
  await close();
});

test("scrubbing asks for no more than 30 answers a second, and ends with the right picture", async () => {
  const { page, close } = await open(edit("720p", `at=${iso(1)}`));
  await withBarcode(page);
  assert.equal(await stillNumber(page), 30);
  const sent = [];
  page.on("request", (request) => request.url().startsWith("http") && sent.push(Date.now()));
  const [left, right] = [await point(page, 0.01, "ruler"), await point(page, 0.99, "ruler")];
  await page.mouse.move(left.x, left.y);
  await page.mouse.down();
  for (let turn = 0; turn < 4; turn++) {
    const to = turn % 2 === 0 ? right : left;
    await page.mouse.move(to.x, to.y, { steps: 60 });
  }
  const last = await point(page, 0.8, "ruler");
  await page.mouse.move(last.x, last.y, { steps: 10 });
  await page.mouse.up();
  const number = await stillNumber(page);
  const clock = await page.locator(".clock time").getAttribute("datetime");
  assert.equal(number, frameAt(clock));
  assert.ok(Math.abs(number - 0.8 * SECONDS * FPS) < 2 * FPS, `frame ${number}`);
  const most = Math.max(...sent.map((at) => sent.filter((it) => it >= at && it < at + 1000).length));
  assert.ok(sent.length > 5 && most <= 30, `${most} requests in a second, ${sent.length} in all`);
  await close();
});
