import assert from "node:assert/strict";
import { test } from "node:test";
import { qualitiesOf } from "../../src/lib/api.ts";
import { readMetrics } from "../../src/lib/prometheus.ts";
import { parseTime, SECOND } from "../../src/lib/time.ts";
import { readKeyframes, readWaveform } from "../../src/views/editor/strip.ts";

test("metrics are read with their labels", () => {
  const { samples, help } = readMetrics('# HELP a_total What it is\n# TYPE a_total counter\na_total{x="1",y="a\\"b"} 3\nb 4.5e3 1700000000\n\n');
  assert.deepEqual(samples, [
    { name: "a_total", labels: { x: "1", y: 'a"b' }, value: 3 },
    { name: "b", labels: {}, value: 4500 },
  ]);
  assert.equal(help.get("a_total"), "What it is");
});

test("pixels of a waveform lie on the clock since 1970", () => {
  const bytes = new ArrayBuffer(24 + 4);
  const head = new DataView(bytes);
  [2, 1, 48_000, 480, 2, 1].forEach((it, at) => head.setInt32(at * 4, it, true));
  new Int8Array(bytes, 24).set([-5, 6, -128, 127]);
  const wave = readWaveform(bytes, 10.004 * SECOND);
  assert.equal(wave.step, 0.01);
  assert.equal(wave.first, 1001, "the first that begins in the span");
  assert.deepEqual([...wave.samples], [-5, 6, -128, 127]);
  const mono = new ArrayBuffer(20 + 2);
  [1, 1, 48_000, 480, 1].forEach((it, at) => new DataView(mono).setInt32(at * 4, it, true));
  new Int8Array(mono, 20).set([-7, 8]);
  assert.deepEqual([...readWaveform(mono, 0).samples], [-7, 8]);
});

test("keyframes follow each other, and begin anew after a hole", () => {
  const playlist = `#EXTM3U
#EXT-X-I-FRAMES-ONLY
#EXT-X-PROGRAM-DATE-TIME:2025-06-01T12:00:00.500000Z
#EXTINF:1.5,
#EXT-X-BYTERANGE:100@0
/segments/a.ts
#EXTINF:0.5,
#EXT-X-BYTERANGE:100@500
/segments/a.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2025-06-01T12:00:10.000000Z
#EXTINF:2.0,
/segments/b.ts
#EXT-X-ENDLIST
`;
  const at = (text: string) => parseTime(`2025-06-01T${text}`);
  assert.deepEqual(readKeyframes(playlist), [at("12:00:00.5"), at("12:00:02"), at("12:00:10")]);
});

test("qualities come the best first, without what is no picture", () => {
  assert.deepEqual(qualitiesOf(["1080p60", "160p", "720p", "audio", "chat", "source"]), ["source", "1080p60", "720p", "160p", "audio"]);
});
