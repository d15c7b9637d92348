// A server over a demo archive, a browser, and what reads off the page what it shows.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { chromium } from "playwright-core";
import { makeDemo, serve, target } from "./server.mjs";

const binary = process.env.MOVIOLA_BIN ?? join(target, "debug/moviola");
const MINUTES = 1;
export const FPS = 30;
/** When the first frame of the demo is on screen, in milliseconds. */
export const START = Date.UTC(2025, 5, 1, 12) - (MINUTES * 60_000) / 2;
export const SECONDS = MINUTES * 60;

let server, browser;
/** The address of the server. */
export let base;

before(async () => {
  base = process.env.MOVIOLA_URL;
  if (!base) {
    const demo = join(target, `page-demo-${MINUTES}`);
    if (!existsSync(demo)) {
      rmSync(`${demo}.part`, { recursive: true, force: true });
      mkdirSync(target, { recursive: true });
      makeDemo(binary, `${demo}.part`);
      renameSync(`${demo}.part`, demo);
    }
    server = await serve(binary, demo);
    base = server.base;
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
  await server?.stop();
});

/** A page that fails the test when anything in it does. With `spoil`, some of its requests are answered otherwise. */
export async function open(hash = "", { spoil, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, colorScheme: "light", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  page.on("console", (message) => {
    // A refusal of the server is part of some tests; a breach of the page's own policy never is.
    const expected = message.text().includes("status of 4") || (spoil && message.text().startsWith("Failed to load resource"));
    if (message.type() === "error" && !expected) faults.push(message.text());
  });
  await spoil?.(page);
  await page.goto(`${base}/${hash}`);
  return { page, close: async () => (await context.close(), assert.deepEqual(faults, [])) };
}

export const iso = (seconds) => new Date(START + seconds * 1000).toISOString().slice(0, 23);
/** The frame on screen at an instant, which may be known to a microsecond. */
export const frameAt = (text) => Math.round(((Date.parse(`${text.slice(0, 23)}Z`) - START) / 1000) * FPS);
export const edit = (quality, ...parameters) => `#/edit/demo/${quality}?${parameters.join("&")}`;

/** Puts a function that reads the number of a frame into the page: a row of 26 cells, 16 pixels each in the source. */
export const withBarcode = (page, sourceWidth = 1280) =>
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
export async function stillNumber(page) {
  await page.locator('.screen[data-state="settled"] img[data-exact="1"]').waitFor();
  return page.evaluate(() => globalThis.barcode(document.querySelector(".screen img")));
}

export const frames = async (page) => {
  await page.locator('.facts[aria-busy="false"]').waitFor();
  return Number(await page.locator(".facts").getAttribute("data-frames"));
};

/** Waits for an estimate that holds another number of frames than before. */
export async function framesBut(page, before) {
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
export async function point(page, share, row = "tracks") {
  const box = await page.locator(".timeline").boundingBox();
  return { x: box.x + share * box.width, y: box.y + (row === "ruler" ? 10 : 60) };
}

export async function drag(page, from, to, steps = 12) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps });
  await page.mouse.up();
}

/** Pauses a video and waits until the picture on screen is the one of `first` plus its time. */
export async function agrees(page, selector, first) {
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
