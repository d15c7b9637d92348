import assert from "node:assert/strict";
import { test } from "node:test";
import { cliCommand, curlCommand, cutPath, type Edit, EMPTY, fileName, fromQuery, moved, settled, toQuery, without } from "../../src/lib/edit.ts";
import { parseRoute, routeTo } from "../../src/lib/route.ts";
import { parseTime } from "../../src/lib/time.ts";

const range = (start: string, end: string, name = "") => ({ start: parseTime(`2025-06-01T${start}`)!, end: parseTime(`2025-06-01T${end}`)!, name });
const edit: Edit = {
  ranges: [range("12:00:00", "12:00:05.5", "it's, a"), range("11:59:00.000001", "11:59:02"), range("12:00:10", "12:00:20")],
  joins: [{ name: "fade", seconds: 1 }, null],
  container: "ts",
  type: "smart",
  holes: "freeze",
};

test("an address reopens the same edit", () => {
  const kept = { edit, at: parseTime("2025-06-01T12:00:01.033333"), view: { start: range("11:58:00", "12:02:00").start, end: range("11:58:00", "12:02:00").end }, snap: true };
  const address = routeTo(["edit", "a/b é", "720p"], toQuery(kept));
  const route = parseRoute(address);
  assert.deepEqual(route.parts, ["edit", "a/b é", "720p"]);
  assert.deepEqual(fromQuery(route.query), kept);
  assert.deepEqual(fromQuery(new URLSearchParams()), { edit: EMPTY, at: null, view: null, snap: false });
});

test("what an address says wrong is left out", () => {
  const read = (text: string) => fromQuery(new URLSearchParams(text)).edit;
  assert.deepEqual(read("range=2025-06-01T12:00:05,2025-06-01T12:00:00&range=x,y&range=2025-06-01T12").ranges, []);
  assert.equal(read("container=exe&type=rough").type, "smart", "MP4 is never rough");
  assert.equal(read("container=webm").type, "mpegts");
  assert.deepEqual(read("range=2025-06-01T12:00:00,2025-06-01T12:00:05&transition=fade,1").joins, [], "one range has no joins");
});

test("the cut's address says what the server needs and no more", () => {
  const short: Edit = { ...EMPTY, ranges: [edit.ranges[0]!], joins: [] };
  assert.equal(cutPath("demo", "720p", short), "/cut/demo/720p.mp4?range=2025-06-01T12:00:00,2025-06-01T12:00:05.5");
  assert.equal(
    cutPath("d mo", "720p", edit, [["receipt", "true"]]),
    "/cut/d%20mo/720p.ts?range=2025-06-01T12:00:00,2025-06-01T12:00:05.5&range=2025-06-01T11:59:00.000001,2025-06-01T11:59:02" +
      "&range=2025-06-01T12:00:10,2025-06-01T12:00:20&transition=fade,1&transition=&holes=freeze&receipt=true",
  );
  const rough: Edit = { ...short, container: "ts", type: "rough", holes: "skip" };
  assert.match(cutPath("demo", "720p", rough), /&type=rough&allow_holes=true$/);
});

test("the same as commands, safe for a shell", () => {
  assert.equal(fileName("demo", "720p", edit), "it_s_a.ts");
  assert.equal(
    cliCommand("d'mo", "720p", edit),
    "moviola cut 'd'\\''mo' 720p --range 2025-06-01T12:00:00,2025-06-01T12:00:05.5 --range 2025-06-01T11:59:00.000001,2025-06-01T11:59:02" +
      " --range 2025-06-01T12:00:10,2025-06-01T12:00:20 --transition fade,1 --transition '' --holes freeze -o it_s_a.ts",
  );
  assert.match(curlCommand("http://x", "demo", "720p", edit), /^curl -o it_s_a\.ts 'http:\/\/x\/cut\/demo\/720p\.ts\?range=.*'$/);
});

test("ranges are moved and taken out, and there is one join less than ranges", () => {
  assert.deepEqual(moved(edit, 0, 2).ranges.map((it) => it.name), ["", "", "it's, a"]);
  assert.equal(moved(edit, 0, 3), edit);
  assert.deepEqual(without(edit, 1).joins, [null]);
  assert.deepEqual(without(edit, 0).joins, [null], "the first range takes the join after it along");
  assert.deepEqual(without(edit, 2).joins, [{ name: "fade", seconds: 1 }]);
  assert.equal(settled({ ...edit, ranges: [] }).joins.length, 0);
});
