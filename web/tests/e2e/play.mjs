// Plays a live stream in hls.js and says how that went: `node tests/e2e/play.mjs MASTER_URL SECONDS [HLS_CONFIG_AS_JSON]`, from web/.
// Ends with 1 where the picture stood still, or the player gave up. CHROMIUM names the browser.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [url, seconds = "60", config = "{}"] = process.argv.slice(2);
const script = readFileSync(createRequire(import.meta.url).resolve("hls.js/dist/hls.min.js"), "utf8");
// A page of its own, so that nothing but the player is between the stream and the figures.
const page = '<!doctype html><meta charset="utf-8"><video muted autoplay playsinline></video><script src="/hls.js"></script>';
const host = createServer((request, answer) => {
  const isScript = request.url === "/hls.js";
  answer.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
  answer.end(isScript ? script : page);
});
await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
});

/** In the page: everything the player says, and where it is ten times a second. */
async function play([url, seconds, config]) {
  const video = document.querySelector("video");
  const begun = performance.now();
  const now = () => (performance.now() - begun) / 1000;
  const said = [];
  const samples = [];
  let fatal = false;
  const say = (...words) => said.push(`${now().toFixed(2)} s, at ${video.currentTime.toFixed(2)}: ${words.join(" ")}`);
  for (const name of ["waiting", "stalled", "seeking", "resize", "error"]) video.addEventListener(name, () => say(name, video.error?.message ?? ""));
  const hls = new globalThis.Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5, ...config });
  hls.on("hlsError", (_, it) => (say(it.details, it.fatal ? "(fatal)" : "", it.reason ?? it.error?.message ?? ""), (fatal ||= it.fatal)));
  hls.on("hlsBufferCodecs", (_, it) => say("plays", ...Object.values(it.tracks ?? it).map((track) => track?.codec ?? "")));
  hls.loadSource(url);
  hls.attachMedia(video);
  while (now() < seconds) {
    const before = video.currentTime;
    await new Promise((resolve) => setTimeout(resolve, 100));
    const wall = hls.playingDate ? (Date.now() - hls.playingDate) / 1000 : NaN;
    samples.push({ time: now(), begun: before > 0, moved: video.currentTime !== before, holes: video.buffered.length - 1, latency: hls.latency, wall });
  }
  const parts = hls.latestLevelDetails?.partTarget;
  hls.destroy();
  return { said, samples, fatal, parts, dropped: video.getVideoPlaybackQuality().droppedVideoFrames };
}

const tab = await browser.newPage();
await tab.goto(`http://127.0.0.1:${host.address().port}/`);
const { said, samples, fatal, parts, dropped } = await tab.evaluate(play, [url, Number(seconds), JSON.parse(config)]);
await browser.close();
host.close();

said.forEach((line) => console.log(line));
const first = samples.find((it) => it.begun);
// What is before it has caught up is a player's own affair.
const settled = samples.filter((it) => first && it.time > first.time + 10);
const stood = samples.filter((it) => it.begun && !it.moved).length / 10;
const share = (key, part) => {
  const values = settled.map((it) => it[key]).filter(Number.isFinite).sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * part))]?.toFixed(2);
};
console.log(`first picture after ${first?.time.toFixed(2)} s; stood still for ${stood.toFixed(1)} s; most holes ${Math.max(...samples.map((it) => it.holes))}; ${dropped} pictures dropped`);
for (const [key, name] of [["latency", "behind the end of the playlist"], ["wall", "behind the source"]]) {
  console.log(`${name}: p50 ${share(key, 0.5)}, p95 ${share(key, 0.95)}, most ${share(key, 1)} s; three parts are ${parts ? (parts * 3).toFixed(2) : "-"} s`);
}
process.exitCode = fatal || !first || stood > 0.15 ? 1 : 0;
