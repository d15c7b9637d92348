// How long the first view takes over a day of two channels in three qualities each (43,200 segments a quality, hard links to
// those of a demo), with a cold server and a warm one, the browser's cache always cold. Figures; nothing here can fail.
// MOVIOLA_BIN should be a release build.
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { makeDemo, serve, target } from "./server.mjs";

const binary = process.env.MOVIOLA_BIN ?? join(target, "release/moviola");
const turns = Number(process.env.TURNS ?? 5);
const SECONDS = 2;
const DAY = Date.UTC(2025, 5, 1);
const QUALITIES = { "1080p": "720p", "720p": "720p", "360p": "360p" };

/** Ten minutes of the day are missing. */
const recorded = (number) => number < 9000 || number >= 9300;

function makeDay(archive) {
  const part = `${archive}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  makeDemo(binary, join(part, ".demo"));
  for (const [quality, from] of Object.entries(QUALITIES)) {
    const source = join(part, ".demo/demo", from);
    const segments = readdirSync(source).flatMap((hour) => readdirSync(join(source, hour)).filter((it) => it.includes("-2.0-full-")).map((it) => join(source, hour, it)));
    for (const channel of ["day", "other"]) {
      for (let number = 0; number < 86_400 / SECONDS; number++) {
        if (!recorded(number)) continue;
        const at = new Date(DAY + number * SECONDS * 1000).toISOString();
        const folder = join(part, channel, quality, at.slice(0, 13));
        if (at.slice(14, 19) === "00:00" || number === 9300) mkdirSync(folder, { recursive: true });
        const path = segments[number % segments.length];
        linkSync(path, join(folder, `${at.slice(14, 19)}.000000-2.0-full-${path.split("-full-")[1]}`));
      }
    }
  }
  renameSync(part, archive);
}

/** Every bar that is in the window is drawn. */
const channels = () => {
  const bars = [...document.querySelectorAll(".bar")];
  return bars.length === 6 && bars.every((it) => it.querySelector("i") || it.getBoundingClientRect().top > innerHeight);
};
/** The exact frame is on screen, and the first pictures of the timeline have come. */
const editor = () =>
  document.querySelector('.screen[data-state="settled"] img')?.complete &&
  performance.getEntriesByType("resource").some((it) => it.name.includes("/sheet.jpg") && it.responseEnd > 0);

/** Milliseconds from the navigation to the first picture of the window in which `ready` holds. */
async function look(browser, address, ready) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(`{ const each = () => ((${ready})() ? (globalThis.usable = performance.now()) : requestAnimationFrame(each)); requestAnimationFrame(each); }`);
  await page.goto(address);
  await page.waitForFunction(() => globalThis.usable !== undefined);
  const usable = await page.evaluate(() => globalThis.usable);
  await context.close();
  return usable;
}

const archive = join(target, "page-day");
if (!existsSync(archive)) makeDay(archive);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] });
for (const [name, hash, ready] of [["channels", "", channels], ["editor", "#/edit/day/720p", editor]]) {
  const times = { cold: [], warm: [] };
  for (let turn = 0; turn < turns; turn++) {
    rmSync(join(archive, ".moviola-cache"), { recursive: true, force: true });
    const { base, stop } = await serve(binary, archive);
    for (const heat of ["cold", "warm"]) times[heat].push(await look(browser, `${base}/${hash}`, ready));
    await stop("SIGKILL");
  }
  for (const [heat, found] of Object.entries(times)) {
    found.sort((a, b) => a - b);
    console.log(`${name}, ${heat} server: median ${Math.round(found[turns >> 1])} ms, ${Math.round(found[0])} to ${Math.round(found.at(-1))}`);
  }
}
await browser.close();
