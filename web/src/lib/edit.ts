import { formatTime, type Micros, parseTime, SECOND } from "./time.ts";
import type { View } from "./view.ts";

export interface Range {
  start: Micros;
  end: Micros;
  name: string;
}

/** How a range goes over into the next; null is a hard cut. */
export type Join = { name: string; seconds: number } | null;

export const CONTAINERS = ["mp4", "ts", "mkv", "webm"] as const;
export const TYPES = ["smart", "copy", "mpegts", "rough"] as const;
export const HOLES = ["refuse", "skip", "freeze", "black"] as const;
export type Container = (typeof CONTAINERS)[number];
export type CutType = (typeof TYPES)[number];
export type Holes = (typeof HOLES)[number];

export interface Edit {
  ranges: Range[];
  /** One for each range but the last. */
  joins: Join[];
  container: Container;
  type: CutType;
  holes: Holes;
}

export const EMPTY: Edit = { ranges: [], joins: [], container: "mp4", type: "smart", holes: "refuse" };

/** The types a container can be. */
export function typesOf(container: Container): CutType[] {
  if (container === "webm") return ["mpegts"];
  return container === "ts" ? ["smart", "copy", "mpegts", "rough"] : ["smart", "copy", "mpegts"];
}

/** With as many joins as it takes, and a type that goes with the container. */
export function settled(edit: Edit): Edit {
  const joins = edit.ranges.slice(1).map((_, number) => edit.joins[number] ?? null);
  const types = typesOf(edit.container);
  return { ...edit, joins, type: types.includes(edit.type) ? edit.type : types[0]! };
}

/** Takes a range out, and the join before it; of the first range, the one after it. */
export function without(edit: Edit, index: number): Edit {
  const joins = edit.joins.filter((_, number) => number !== Math.max(0, index - 1));
  return settled({ ...edit, ranges: edit.ranges.filter((_, number) => number !== index), joins });
}

/** Puts a range elsewhere in the order. Joins stay where they are. */
export function moved(edit: Edit, from: number, to: number): Edit {
  const ranges = [...edit.ranges];
  const [range] = ranges.splice(from, 1);
  if (!range || to < 0 || to > ranges.length) return edit;
  ranges.splice(to, 0, range);
  return { ...edit, ranges };
}

/** As seconds that cannot be longer than the ranges on its sides. */
export const longestJoin = (edit: Edit, number: number): number => {
  const [before, after] = [edit.ranges[number], edit.ranges[number + 1]];
  if (!before || !after) return 0;
  return Math.min(60, (before.end - before.start) / SECOND, (after.end - after.start) / SECOND);
};

const word = <T extends string>(all: readonly T[], text: string | null, otherwise: T): T =>
  all.find((it) => it === text) ?? otherwise;

/** What an address keeps of an edit. */
export interface Kept {
  edit: Edit;
  at: Micros | null;
  view: View | null;
  snap: boolean;
}

export function toQuery({ edit, at, view, snap }: Kept): URLSearchParams {
  const query = new URLSearchParams();
  for (const range of edit.ranges) query.append("range", `${formatTime(range.start)},${formatTime(range.end)}`);
  if (edit.ranges.some((it) => it.name)) for (const range of edit.ranges) query.append("name", range.name);
  if (edit.joins.some((it) => it)) {
    for (const join of edit.joins) query.append("transition", join ? `${join.name},${join.seconds}` : "");
  }
  if (edit.container !== EMPTY.container) query.set("container", edit.container);
  if (edit.type !== EMPTY.type) query.set("type", edit.type);
  if (edit.holes !== EMPTY.holes) query.set("holes", edit.holes);
  if (snap) query.set("snap", "1");
  if (at !== null) query.set("at", formatTime(at));
  if (view) query.set("view", `${formatTime(view.start, 3)},${formatTime(view.end, 3)}`);
  return query;
}

function span(text: string): View | null {
  const [start, end] = text.split(",").map((it) => parseTime(it));
  return typeof start === "number" && typeof end === "number" && start < end ? { start, end } : null;
}

/** Reads what [`toQuery`] wrote; what cannot be read is left out. */
export function fromQuery(query: URLSearchParams): Kept {
  const names = query.getAll("name");
  const ranges = query.getAll("range").flatMap((text, number): Range[] => {
    const range = span(text);
    return range ? [{ ...range, name: names[number] ?? "" }] : [];
  });
  const joins = query.getAll("transition").map((text): Join => {
    const [name, seconds] = text.split(",");
    return name && Number(seconds) > 0 ? { name, seconds: Number(seconds) } : null;
  });
  const edit = settled({
    ranges,
    joins,
    container: word(CONTAINERS, query.get("container"), EMPTY.container),
    type: word(TYPES, query.get("type"), EMPTY.type),
    holes: word(HOLES, query.get("holes"), EMPTY.holes),
  });
  const at = query.get("at");
  const view = query.get("view");
  return { edit, at: at ? parseTime(at) : null, view: view ? span(view) : null, snap: query.get("snap") === "1" };
}

const encoded = (text: string): string => encodeURIComponent(text).replace(/%3A/g, ":").replace(/%2C/g, ",");

/** The address of the cut; `parameters` go with it. */
export function cutPath(channel: string, quality: string, edit: Edit, parameters: [string, string][] = []): string {
  const query: [string, string][] = edit.ranges.map((it) => ["range", `${formatTime(it.start)},${formatTime(it.end)}`]);
  if (edit.joins.some((it) => it)) {
    for (const join of edit.joins) query.push(["transition", join ? `${join.name},${join.seconds}` : ""]);
  }
  if (edit.container !== "webm" && edit.type !== "smart") query.push(["type", edit.type]);
  if (edit.holes !== "refuse") query.push(edit.type === "rough" ? ["allow_holes", "true"] : ["holes", edit.holes]);
  const text = [...query, ...parameters].map(([key, value]) => `${key}=${encoded(value)}`).join("&");
  return `/cut/${encodeURIComponent(channel)}/${encodeURIComponent(quality)}.${edit.container}?${text}`;
}

/** What the file is called: the first name, or the channel, and when it begins. */
export function fileName(channel: string, quality: string, edit: Edit): string {
  const first = edit.ranges[0];
  const named = edit.ranges.find((it) => it.name)?.name;
  const when = first ? formatTime(first.start, 0).replace(/:/g, "-") : "";
  const name = named ? named : `${channel}_${quality}_${when}`;
  return `${name.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.${edit.container}`;
}

const quoted = (text: string): string => (/^[\w./:,=@+-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

export const curlCommand = (origin: string, channel: string, quality: string, edit: Edit): string =>
  `curl -o ${quoted(fileName(channel, quality, edit))} ${quoted(origin + cutPath(channel, quality, edit))}`;

/** The same cut, without a server. */
export function cliCommand(channel: string, quality: string, edit: Edit): string {
  const words = ["moviola", "cut", quoted(channel), quoted(quality)];
  for (const range of edit.ranges) words.push("--range", `${formatTime(range.start)},${formatTime(range.end)}`);
  if (edit.joins.some((it) => it)) {
    for (const join of edit.joins) words.push("--transition", join ? `${join.name},${join.seconds}` : "''");
  }
  if (edit.type !== "smart" || edit.container === "webm") {
    words.push("--type", edit.type === "mpegts" || edit.container === "webm" ? "full" : edit.type);
  }
  if (edit.holes !== "refuse") words.push("--holes", edit.holes);
  return [...words, "-o", quoted(fileName(channel, quality, edit))].join(" ");
}
