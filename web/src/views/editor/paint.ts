import { clockOf, dayOf, formatTime, HOUR, type Micros, SECOND } from "../../lib/time.ts";
import { lengthOf, ticks, type View, xOf } from "../../lib/view.ts";
import { MOST, type Strip } from "./strip.ts";

/** Rows of a timeline in pixels of CSS, from the top. */
export const ROWS = { ruler: 26, tiles: 54, wave: 58 };
export const HEIGHT = ROWS.ruler + ROWS.tiles + ROWS.wave;
/** Pixels a tile is about as wide as. */
export const TILE = 96;

export interface Colours {
  text: string;
  faint: string;
  line: string;
  track: string;
  wave: string;
  suspect: string;
  partial: string;
  hatch: string;
  hole: string;
  scene: string;
}

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of("text"),
    faint: of("faint"),
    line: of("line"),
    track: of("track"),
    wave: of("wave"),
    suspect: of("suspect"),
    partial: of("partial"),
    hatch: of("hatch"),
    hole: of("hole-ground"),
    scene: of("accent"),
  };
}

/** What is drawn for a frame rate, where tiles are single frames. */
export interface Frames {
  /** Microseconds of a frame. */
  length: Micros;
  /** Frames from one tile to the next. */
  every: number;
}

export interface Scene {
  view: View;
  width: number;
  content: View;
  /** Seconds of a tile; 0 for single frames. */
  interval: number;
  frames: Frames;
  strip: Strip;
}

export function paint(context: CanvasRenderingContext2D, colours: Colours, scene: Scene): void {
  const { view, width } = scene;
  context.clearRect(0, 0, width, HEIGHT);
  context.fillStyle = colours.track;
  context.fillRect(0, ROWS.ruler, width, HEIGHT - ROWS.ruler);
  paintTiles(context, scene);
  paintWave(context, colours, scene);
  paintMarks(context, colours, scene);
  paintCover(context, colours, scene);
  paintRuler(context, colours, view, width, scene.frames.length);
}

function paintTiles(context: CanvasRenderingContext2D, { view, width, interval, frames, strip }: Scene): void {
  const [top, height] = [ROWS.ruler, ROWS.tiles];
  const step = interval > 0 ? interval * SECOND : frames.length * frames.every;
  context.save();
  context.beginPath();
  context.rect(0, top, width, height);
  context.clip();
  for (let number = Math.floor(view.start / step); number * step < view.end; number++) {
    const left = Math.round(xOf(view, width, number * step));
    const room = Math.round(xOf(view, width, (number + 1) * step)) - left;
    const middle = Math.round(number * step + (interval > 0 ? step / 2 : frames.length / 2));
    const tile = interval > 0 ? strip.tile(middle, interval) : null;
    const frame = interval > 0 ? null : strip.frame(middle);
    const picture = tile?.picture ?? frame;
    if (!picture) continue;
    const from = tile ? { left: tile.left, width: tile.width } : { left: 0, width: picture.width };
    // As high as the row; of a tile that is wider than its room, the middle.
    const scale = height / picture.height;
    const seen = Math.min(from.width, (room - 1) / scale);
    context.drawImage(picture, from.left + (from.width - seen) / 2, 0, seen, picture.height, left, top, seen * scale, height);
  }
  context.restore();
}

function paintWave(context: CanvasRenderingContext2D, colours: Colours, { view, width, strip }: Scene): void {
  const top = ROWS.ruler + ROWS.tiles;
  const middle = top + ROWS.wave / 2;
  context.fillStyle = colours.line;
  context.fillRect(0, middle, width, 1);
  const wave = strip.wave;
  if (!wave) {
    if (lengthOf(view) <= MOST.wave) return;
    context.fillStyle = colours.faint;
    context.font = "12px ui-sans-serif, system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(`Zoom in to ${MOST.wave / HOUR} hours to see the sound`, width / 2, middle - 8);
    context.textAlign = "start";
    return;
  }
  context.fillStyle = colours.wave;
  const half = ROWS.wave / 2 - 3;
  const count = wave.samples.length / 2;
  const perPixel = lengthOf(view) / width / SECOND / wave.step;
  for (let x = 0; x < width; x++) {
    const from = (view.start + (x / width) * lengthOf(view)) / SECOND / wave.step - wave.first;
    const [low, high] = [Math.floor(from), Math.max(Math.floor(from) + 1, Math.floor(from + perPixel))];
    if (high <= 0 || low >= count) continue;
    let [least, most] = [0, 0];
    for (let at = Math.max(0, low); at < Math.min(count, high); at++) {
      least = Math.min(least, wave.samples[at * 2]!);
      most = Math.max(most, wave.samples[at * 2 + 1]!);
    }
    // The square root lets quiet sound be seen.
    const rise = (value: number): number => Math.sqrt(Math.abs(value) / 128) * half;
    context.fillRect(x, middle - rise(most), 1, Math.max(1, rise(most) + rise(least)));
  }
}

function paintMarks(context: CanvasRenderingContext2D, colours: Colours, { view, width, strip }: Scene): void {
  context.save();
  context.globalAlpha = 0.14;
  context.fillStyle = colours.text;
  for (const it of strip.marks.silences) {
    const left = xOf(view, width, it.start);
    context.fillRect(left, ROWS.ruler + ROWS.tiles, Math.max(1, xOf(view, width, it.end) - left), ROWS.wave);
  }
  context.globalAlpha = 0.75;
  context.fillStyle = colours.scene;
  for (const it of strip.marks.scenes) context.fillRect(Math.round(xOf(view, width, it)), ROWS.ruler + ROWS.tiles - 5, 1, 10);
  context.fillStyle = colours.faint;
  context.globalAlpha = 1;
  // More than one in some pixels are a bar, and tell nothing.
  if (strip.marks.keys.length < width / 4) {
    for (const it of strip.marks.keys) context.fillRect(Math.round(xOf(view, width, it)) - 1, ROWS.ruler - 4, 2, 4);
  }
  context.restore();
}

function hatch(context: CanvasRenderingContext2D, colours: Colours, left: number, right: number, top: number, bottom: number): void {
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.fillStyle = colours.hole;
  context.fillRect(left, top, right - left, bottom - top);
  context.strokeStyle = colours.hatch;
  context.lineWidth = 1.5;
  context.beginPath();
  const rise = bottom - top;
  for (let x = Math.floor((left - rise) / 9) * 9; x < right; x += 9) {
    context.moveTo(x, bottom);
    context.lineTo(x + rise, top);
  }
  context.stroke();
  context.restore();
}

function paintCover(context: CanvasRenderingContext2D, colours: Colours, { view, width, strip, content }: Scene): void {
  const holes = strip.cover?.spans ?? [];
  for (const it of holes) {
    const [left, right] = [xOf(view, width, it.start), xOf(view, width, it.end)];
    if (right < 0 || left > width || it.kind === "full") continue;
    if (it.kind === "hole") {
      if (it.end <= content.start || it.start >= content.end) continue;
      hatch(context, colours, Math.max(0, left), Math.min(width, Math.max(right, left + 1.5)), ROWS.ruler, HEIGHT);
    } else {
      context.fillStyle = it.kind === "suspect" ? colours.suspect : colours.partial;
      context.fillRect(left, HEIGHT - 4, Math.max(2, right - left), 4);
    }
  }
}

function paintRuler(context: CanvasRenderingContext2D, colours: Colours, view: View, width: number, frame: Micros): void {
  context.font = "11px ui-sans-serif, system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  const framePixels = (frame / lengthOf(view)) * width;
  if (framePixels > 7) {
    context.fillStyle = colours.line;
    for (let number = Math.floor(view.start / frame); number * frame < view.end; number++) {
      context.fillRect(Math.round(xOf(view, width, number * frame)), ROWS.ruler - 5, 1, 5);
    }
  }
  for (const tick of ticks(view, width, 84, clockOf)) {
    const x = Math.round(tick.x);
    context.fillStyle = colours.line;
    context.fillRect(x, ROWS.ruler - 9, 1, 9);
    context.fillStyle = colours.faint;
    context.fillText(tick.label || dayOf(tick.at).slice(5), x + 4, ROWS.ruler - 12 + 3);
  }
}

/** What a screen reader is told. */
export const spoken = (at: Micros): string => `${formatTime(at, 3).replace("T", " ")} UTC`;
