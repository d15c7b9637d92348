// Opens the page in Chromium and uses it as people do. Wants a binary with the page in it: MOVIOLA_BIN (or a server that
// runs over a demo archive: MOVIOLA_URL). CHROMIUM names the browser.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

// The page's policy lets no other script in; what the test evaluates is not asked.
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const root = new URL("../../..", import.meta.url).pathname;
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const binary = process.env.MOVIOLA_BIN ?? join(target, "debug/moviola");
const MINUTES = 1;
const FPS = 30;
/** When the first frame of the demo is on screen, in milliseconds. */
const START = Date.UTC(2025, 5, 1, 12) - (MINUTES * 60_000) / 2;
const SECONDS = MINUTES * 60;

let server, base, browser;

before(async () => {
  base = process.env.MOVIOLA_URL;
  if (!base) {
    const demo = join(target, `page-demo-${MINUTES}`);
    if (!existsSync(demo)) {
      rmSync(`${demo}.part`, { recursive: true, force: true });
      mkdirSync(target, { recursive: true });
      const made = spawnSync(binary, ["demo", "--minutes", String(MINUTES), `${demo}.part`], { stdio: ["ignore", "ignore", "inherit"] });
      assert.equal(made.status, 0, `${binary} makes the demo`);
      renameSync(`${demo}.part`, demo);
    }
    server = spawn(binary, ["serve", "--archive", demo, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "ignore"] });
    base = await new Promise((resolve, reject) => {
      let said = "";
      server.stdout.on("data", (text) => {
        said += text;
        const found = /listening on (\S+)/.exec(said);
        if (found) resolve(found[1]);
      });
      server.on("exit", () => reject(new Error(`the server ended: ${said}`)));
    });
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    ],
  });
});

after(async () => {
  await browser?.close();
  server?.kill();
});

/** A page that fails the test when anything in it does. */
async function open(hash = "", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, colorScheme: "light", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  page.on("console", (message) => {
    // A refusal of the server is part of some tests; a breach of the page's own policy never is.
    if (message.type() === "error" && !message.text().includes("status of 4")) faults.push(message.text());
  });
  await page.goto(`${base}/${hash}`);
  return { page, close: async () => (await context.close(), assert.deepEqual(faults, [])) };
}

const iso = (seconds) => new Date(START + seconds * 1000).toISOString().slice(0, 23);
/** The frame on screen at an instant, which may be known to a microsecond. */
const frameAt = (text) => Math.round(((Date.parse(`${text.slice(0, 23)}Z`) - START) / 1000) * FPS);
const edit = (quality, ...parameters) => `#/edit/demo/${quality}?${parameters.join("&")}`;

/** Puts a function that reads the number of a frame into the page: a row of 26 cells, 16 pixels each in the source. */
const withBarcode = (page, sourceWidth = 1280) =>
  page.evaluate((sourceWidth) => {
    globalThis.barcode = (element) => {
      const width = element.videoWidth || element.naturalWidth;
      const height = element.videoHeight || element.naturalHeight;
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d");
      context.drawImage(element, 0, 0);
      const cell = (16 * width) / sourceWidth;
      const bit = (at) => context.getImageData(Math.floor((at + 0.5) * cell), Math.floor(cell / 2), 1, 1).data[1] > 128;
      if (!bit(0) || bit(25)) return null;
      let number = 0;
      for (let at = 1; at < 25; at++) number = number * 2 + (bit(at) ? 1 : 0);
      return number;
    };
  }, sourceWidth);

/** The number in the still on screen, once it is exactly the one asked for. */
async function stillNumber(page) {
  await page.locator('.screen[data-state="settled"] img[data-exact="1"]').waitFor();
  return page.evaluate(() => globalThis.barcode(document.querySelector(".screen img")));
}

const frames = async (page) => {
  await page.locator('.facts[aria-busy="false"]').waitFor();
  return Number(await page.locator(".facts").getAttribute("data-frames"));
};

/** Waits for an estimate that holds another number of frames than before. */
async function framesBut(page, before) {
  await page.waitForFunction(
    (before) => {
      const facts = document.querySelector('.facts[aria-busy="false"]');
      return facts && Number(facts.getAttribute("data-frames")) !== before;
    },
    before,
  );
  return frames(page);
}

/** A point of the timeline: a share of its width, in a row. */
async function point(page, share, row = "tracks") {
  const box = await page.locator(".timeline").boundingBox();
  return { x: box.x + share * box.width, y: box.y + (row === "ruler" ? 10 : 60) };
}

async function drag(page, from, to, steps = 12) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps });
  await page.mouse.up();
}

/** Pauses a video and waits until the picture on screen is the one of `first` plus its time. */
async function agrees(page, selector, first) {
  await page.evaluate((selector) => {
    const video = document.querySelector(selector);
    globalThis.last = 0;
    const each = (_, { mediaTime }) => {
      globalThis.last = mediaTime;
      video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
  }, selector);
  await page.waitForFunction(() => globalThis.last > 0);
  await page.evaluate((selector) => document.querySelector(selector).pause(), selector);
  const seen = () => page.evaluate((selector) => [globalThis.barcode(document.querySelector(selector)), globalThis.last], selector);
  const right = ([first, fps, selector]) => globalThis.barcode(document.querySelector(selector)) === first + Math.round(globalThis.last * fps);
  await page.waitForFunction(right, [first, FPS, selector], { timeout: 10_000 }).catch(() => undefined);
  const [number, mediaTime] = await seen();
  assert.equal(number, first + Math.round(mediaTime * FPS), `the frame at ${mediaTime} s`);
}

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
  const { page, close } = await open(edit("360p", `range=${iso(1)},${iso(5)}`, `range=${iso(40)},${iso(44)}`, "container=ts"));
  await withBarcode(page, 640);
  assert.equal(await frames(page), 240);
  await page.getByLabel("Transition after range 1").selectOption("fade");
  assert.equal(await framesBut(page, 240), 210);
  await page.getByRole("button", { name: "Look at the transition" }).click();
  await page.waitForFunction(() => (document.querySelector("dialog video")?.currentTime ?? 0) > 1);
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("button", { name: "Move range 2 up" }).click();
  await page.waitForFunction((time) => location.hash.indexOf(time) < location.hash.lastIndexOf("range="), iso(40).replace(/\.000$/, ""));
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
  for (let turn = 0; turn < 6; turn++) {
    const to = turn % 2 === 0 ? right : left;
    await page.mouse.move(to.x, to.y, { steps: 80 });
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

/** Sends the demo's first segments as a camera would: each when the one before it was seen. */
async function* camera() {
  const hour = new Date(START).toISOString().slice(0, 13);
  const names = (await (await fetch(`${base}/files/demo/360p/${hour}`)).json()).slice(0, 7);
  for (const [number, name] of names.entries()) {
    if (number > 0) await new Promise((resolve) => setTimeout(resolve, 1900));
    yield new Uint8Array(await (await fetch(`${base}/segments/demo/360p/${hour}/${name}`)).arrayBuffer());
  }
}

test("a live stream is watched, and recorded from before the button was pressed", async () => {
  const put = (path, body, headers) => fetch(`${base}/streams/${path}`, { method: "PUT", body, headers, duplex: "half" });
  const made = await put("camera", JSON.stringify({ source: { push: "http" }, keepalive: true }), { "Content-Type": "application/json" });
  assert.ok(made.ok, `${made.status} ${await made.text()}`);
  const sent = put("camera/media", camera(), { "Content-Type": "video/mp2t" }).catch(() => undefined);
  const { page, close } = await open("#/live");
  // The demo has a stream of its own.
  const card = page.getByLabel("camera", { exact: true });
  await card.locator(".badge.live").waitFor();
  await card.getByRole("button", { name: "Watch", exact: true }).click();
  await page.waitForFunction(() => (document.querySelector('.stream[aria-labelledby="stream-camera"] video')?.currentTime ?? 0) > 0.5);
  await card.getByLabel("From so many seconds ago").fill("3");
  await card.getByLabel("For seconds (empty: until stopped)").fill("2");
  await card.getByRole("button", { name: "Record" }).click();
  await card.locator("td .badge.done").waitFor();
  await page.goto(`${base}/#/recordings`);
  await page.getByRole("button", { name: /^Play/ }).click();
  await page.waitForFunction(() => (document.querySelector("dialog video")?.currentTime ?? 0) > 0.2);
  assert.ok((await page.evaluate(() => document.querySelector("dialog video").duration)) > 3.9, "two seconds, and the three before");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Delete/ }).click();
  await page.getByText("No recordings yet").waitFor();
  await fetch(`${base}/streams/camera`, { method: "DELETE" });
  await sent;
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`no serious barrier on any page, ${colorScheme}, wide and narrow`, async () => {
    for (const viewport of [{ width: 1440, height: 900 }, { width: 360, height: 740 }]) {
      const { page, close } = await open("", { colorScheme, viewport });
      for (const [hash, ready] of [
        ["#/", ".bar"],
        [edit("720p", `range=${iso(1)},${iso(5)}`, `range=${iso(13)},${iso(24)}`), ".notice"],
        [edit("360p", `range=${iso(1)},${iso(5)}`), ".facts"],
        ["#/live", "h1"],
        ["#/recordings", "h1"],
        [`#/thumbnails?channel=demo&quality=360p&at=${iso(1)}`, ".croppable"],
        ["#/jobs", "h1"],
        ["#/status", "td"],
      ]) {
        await page.goto(`${base}/${hash}`);
        await page.locator(ready).first().waitFor();
        await page.evaluate(axeSource);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }));
        const serious = violations.filter((it) => ["serious", "critical"].includes(it.impact));
        assert.deepEqual(serious.map((it) => `${hash}: ${it.id}: ${it.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`), []);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${hash} is ${wide} pixels wider than the window of ${viewport.width}`);
      }
      await close();
    }
  });
}
