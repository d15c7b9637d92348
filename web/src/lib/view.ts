import { DAY, HOUR, type Micros, MINUTE, SECOND } from "./time.ts";

/** What of time is seen: from `start` to before `end`. */
export interface View {
  start: Micros;
  end: Micros;
}

/** The shortest view: some frames of any usual rate. */
export const SHORTEST = SECOND / 5;

export const lengthOf = (view: View): number => view.end - view.start;
export const xOf = (view: View, width: number, at: Micros): number => ((at - view.start) / lengthOf(view)) * width;
export const timeAt = (view: View, width: number, x: number): Micros => view.start + (x / width) * lengthOf(view);

/** Moves a view into `limits`, and shortens it where it is longer. */
export function clamp(view: View, limits: View): View {
  const most = Math.max(lengthOf(limits), SHORTEST);
  const length = Math.min(Math.max(lengthOf(view), SHORTEST), most);
  const start = Math.min(Math.max(view.start, limits.start), limits.start + most - length);
  return { start, end: start + length };
}

/** `factor` below 1 shows less; what is at `at` stays where it is. */
export function zoom(view: View, factor: number, at: Micros, limits: View): View {
  const length = Math.min(Math.max(lengthOf(view) * factor, SHORTEST), Math.max(lengthOf(limits), SHORTEST));
  const share = (at - view.start) / lengthOf(view);
  const start = at - share * length;
  return clamp({ start, end: start + length }, limits);
}

export const pan = (view: View, by: number, limits: View): View =>
  clamp({ start: view.start + by, end: view.end + by }, limits);

/** The view, moved just as far as it takes for `at` to be in it. */
export function follow(view: View, at: Micros, limits: View): View {
  const margin = lengthOf(view) * 0.08;
  if (at < view.start + margin) return pan(view, at - view.start - margin, limits);
  if (at > view.end - margin) return pan(view, at - view.end + margin, limits);
  return view;
}

const STEPS = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  172800, 604800,
].map((seconds) => Math.round(seconds * SECOND));

export interface Tick {
  at: Micros;
  x: number;
  label: string;
}

/** Marks at round times, at least `apart` pixels from each other. */
export function ticks(view: View, width: number, apart: number, clock: (at: Micros, digits: number) => string): Tick[] {
  const step = STEPS.find((it) => (it / lengthOf(view)) * width >= apart) ?? DAY * 7;
  const digits = step >= SECOND ? 0 : step >= SECOND / 10 ? 1 : 2;
  const found: Tick[] = [];
  for (let at = Math.ceil(view.start / step) * step; at < view.end; at += step) {
    const text = clock(at, digits);
    const midnight = at % DAY === 0;
    const label = step >= MINUTE ? text.slice(0, 5) : text;
    found.push({ at, x: xOf(view, width, at), label: midnight ? "" : label });
  }
  return found;
}

/** Seconds of one tile of a storyboard so that about `count` fill the view; less than 1 means frames. */
export function tileInterval(view: View, count: number): number {
  const wanted = lengthOf(view) / SECOND / Math.max(1, count);
  return [1, 2, 4, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600].find((it) => it >= wanted) ?? 3600;
}

/** What is seen at first: all of a short archive, else its last hour. */
export const firstView = (content: View): View =>
  lengthOf(content) <= 2 * HOUR ? content : { start: content.end - HOUR, end: content.end };
