import { Gate } from "./pace.ts";
import { type Micros, parseTime } from "./time.ts";
import type { View } from "./view.ts";

/** What pictures and estimates ask for while somebody scrubs stays below this. */
export const gate = new Gate(28);

export interface Hole {
  start: string;
  end: string;
}

/** What the server says when it does not do what it is asked to. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly holes: Hole[] = [],
  ) {
    super(message);
  }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

export function textOf(error: unknown): string {
  if (error instanceof Problem) return error.message;
  if (error instanceof TypeError) return "The server cannot be reached.";
  return error instanceof Error ? error.message : String(error);
}

async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as { code?: string; detail?: string; title?: string; holes?: Hole[] } | null;
  const text = body?.detail ?? body?.title ?? `The server answered ${response.status} ${response.statusText}`;
  return new Problem(response.status, body?.code ?? "", text, body?.holes ?? []);
}

/** How often a server that is busy for a moment is asked again. */
const TURNS = 3;
/** The longest wait that is made for it. */
const PATIENCE = 2000;

const pause = (millis: number, signal: AbortSignal | null | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, millis);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** An answer that is one; else a [`Problem`] is thrown. What only reads is asked for again where the server says when. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  for (let turn = 1; ; turn++) {
    const response = await fetch(path, init);
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After") ?? Number.NaN) * 1000;
    if (response.status !== 503 || (init.method ?? "GET") !== "GET" || turn === TURNS || !(wait <= PATIENCE)) throw await problemOf(response);
    await pause(wait, init.signal);
  }
}

export const json = async <T,>(path: string, signal?: AbortSignal): Promise<T> =>
  (await ask(path, signal ? { signal } : {})).json() as Promise<T>;

export const send = (method: string, path: string, body?: unknown): Promise<Response> =>
  ask(path, body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

const name = encodeURIComponent;
export const pathOf = (root: string, channel: string, quality: string, ending = ""): string =>
  `/${root}/${name(channel)}/${name(quality)}${ending}`;

export const query = (values: Record<string, string | number | undefined>): string =>
  Object.entries(values)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encodeURIComponent(value).replace(/%3A/g, ":")}`]))
    .join("&");

export type Cover = "full" | "suspect" | "partial" | "hole";
export interface CoverSpan extends View {
  kind: Cover;
}
export interface Coverage extends View {
  first: Micros;
  last: Micros;
  segments: number;
  totals: Record<Cover, number>;
  spans: CoverSpan[];
}

const time = (text: string): Micros => parseTime(text) ?? Number.NaN;

export async function coverage(
  channel: string,
  quality: string,
  span: { start?: string; end?: string; resolution?: number },
  signal?: AbortSignal,
): Promise<Coverage> {
  type Raw = { start: string; end: string; first: string; last: string; segments: number; totals: Record<Cover, number>; spans: { start: string; end: string; kind: Cover }[] };
  const raw = await json<Raw>(`${pathOf("coverage", channel, quality, ".json")}?${query(span)}`, signal);
  return {
    start: time(raw.start),
    end: time(raw.end),
    first: time(raw.first),
    last: time(raw.last),
    segments: raw.segments,
    totals: raw.totals,
    spans: raw.spans.map((it) => ({ start: time(it.start), end: time(it.end), kind: it.kind })),
  };
}

/** What of a channel's folders are pictures, the best first: `source`, then by lines. */
export function qualitiesOf(names: string[]): string[] {
  const lines = (name: string): number => (name === "source" ? Number.POSITIVE_INFINITY : Number.parseInt(name, 10) || 0);
  return names.filter((it) => it !== "chat").sort((a, b) => (lines(a) === lines(b) ? a.localeCompare(b) : lines(b) - lines(a)));
}

/** A picture with the instant it was asked for and the one it is of. */
export interface Still {
  asked: Micros;
  at: Micros;
  key: boolean;
  url: string;
}

export async function still(path: string, asked: Micros, signal: AbortSignal): Promise<Still> {
  await gate.pass(signal);
  const response = await ask(path, { signal });
  const at = parseTime(response.headers.get("Moviola-Frame-Time") ?? "") ?? asked;
  const key = response.headers.get("Moviola-Frame-Key") === "true";
  return { asked, at, key, url: URL.createObjectURL(await response.blob()) };
}

export interface Receipt {
  frames: number;
  encoded_frames: number;
  duration: number;
  bytes?: number;
  estimated_bytes?: number;
  full_encode?: string;
  cost?: { estimated_cpu_seconds: number };
  ranges: { requested: Hole; first: { time: string }; last: { time: string }; reach_before: number; reach_after: number; frames: number; encoded_frames: number; holes: Hole[] }[];
}

export interface Job {
  id: string;
  kind: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  progress: number;
  created: string;
  started: string | null;
  ended: string | null;
  parameters: unknown;
  result: unknown;
  failure: { code: string; detail: string } | null;
}

export interface Recording {
  id: string;
  stream: string;
  name: string;
  state: "recording" | "finishing" | "done" | "failed" | "cancelled";
  cause: string | null;
  start: string;
  end: string | null;
  /** Seconds so far. */
  length?: number | null;
  bytes: number | null;
  detail?: string | null;
  url?: string | null;
}

export interface Stream {
  id: string;
  source: unknown;
  state: string;
  cause: string | null;
  detail: string | null;
  since: string;
  viewer_url: string | null;
  tracks?: { kind: string; codec: string; width?: number; height?: number; frame_rate?: number }[];
  diagnostics?: { fps?: number; bitrate?: number; latency?: number | null; ring_seconds?: number; viewers?: number };
  recordings?: Recording[];
}

export interface Template {
  name: string;
  description: string;
  crop?: [number, number, number, number];
  location?: [number, number, number, number];
}
