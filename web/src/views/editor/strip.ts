import { ask, type Coverage, coverage, gate, json, pathOf, query } from "../../lib/api.ts";
import { Latest } from "../../lib/pace.ts";
import { formatTime, HOUR, type Micros, MINUTE, parseTime, SECOND } from "../../lib/time.ts";
import { lengthOf, type View } from "../../lib/view.ts";

/** The smallest and the largest sample of each pixel, with the clock they lie on. */
export interface Waveform {
  /** Seconds of a pixel. */
  step: number;
  /** The number of the first pixel since 1970. */
  first: number;
  samples: Int8Array;
}

/** Reads what `.dat` of 8 bits holds for a span that begins at `start`. */
export function readWaveform(bytes: ArrayBuffer, start: Micros): Waveform {
  const head = new DataView(bytes);
  const [rate, perPixel, length] = [head.getInt32(8, true), head.getInt32(12, true), head.getUint32(16, true)];
  const step = perPixel / rate;
  // The second version of the format says how many channels there are, here one.
  const begin = head.getInt32(0, true) === 1 ? 20 : 24;
  return { step, first: Math.ceil(start / SECOND / step), samples: new Int8Array(bytes, begin, length * 2) };
}

/** The longest views that are asked for these; beyond, the work is for the batch lane. */
export const MOST = { wave: 4 * HOUR, marks: 30 * MINUTE, keys: 10 * MINUTE };
const TILES = 10;
const KEPT = 240;

export interface Marks {
  scenes: Micros[];
  silences: View[];
  keys: Micros[];
}

interface Tile {
  picture: ImageBitmap | null;
  used: number;
}

/** What a timeline draws: fetched for what is in view, a moment after it stops moving. */
export class Strip {
  wave: Waveform | null = null;
  cover: Coverage | null = null;
  marks: Marks = { scenes: [], silences: [], keys: [] };
  readonly #tiles = new Map<string, Tile>();
  #tick = 0;
  #abort = new AbortController();
  #intervals: number[] = [];
  readonly #wave = new Latest<Waveform | null>((it) => this.#set({ wave: it }), () => this.#set({ wave: null }));
  readonly #cover = new Latest<Coverage>((it) => this.#set({ cover: it }), () => undefined);
  readonly #marks = new Latest<Marks>((it) => this.#set({ marks: it }), () => undefined);

  constructor(
    readonly channel: string,
    readonly quality: string,
    readonly redraw: () => void,
  ) {}

  #set(values: Partial<Pick<Strip, "wave" | "cover" | "marks">>): void {
    Object.assign(this, values);
    this.redraw();
  }

  stop(): void {
    for (const it of [this.#wave, this.#cover, this.#marks]) it.stop();
    this.#abort.abort();
  }

  /** Asks for what `view` lacks. */
  look(view: View, width: number, snap: boolean): void {
    const length = lengthOf(view);
    const wide: View = { start: Math.round(view.start - length * 0.3), end: Math.round(view.end + length * 0.3) };
    const span = { start: formatTime(wide.start), end: formatTime(wide.end) };
    const path = (root: string, ending: string): string => pathOf(root, this.channel, this.quality, ending);
    const step = length / width / SECOND;
    this.#cover.run(async (signal) => {
      await gate.pass(signal);
      return coverage(this.channel, this.quality, length > 20 * MINUTE ? { ...span, resolution: Math.max(0.1, Number((step * 1.5).toFixed(1))) } : span, signal);
    }, 120);
    if (length <= MOST.wave) {
      this.#wave.run(async (signal) => {
        await gate.pass(signal);
        const parameters = query({ ...span, width: Math.max(64, Math.round(width * 1.6)), bits: 8 });
        const answer = await ask(`${path("waveform", ".dat")}?${parameters}`, { signal });
        return readWaveform(await answer.arrayBuffer(), wide.start);
      }, 140);
    } else {
      this.#wave.stop();
      this.wave = null;
    }
    if (length <= MOST.marks) {
      this.#marks.run((signal) => this.#loadMarks(span, path, snap && length <= MOST.keys, signal), 300);
    } else {
      this.#marks.stop();
      this.marks = { scenes: [], silences: [], keys: [] };
    }
  }

  async #loadMarks(span: { start: string; end: string }, path: (root: string, ending: string) => string, snap: boolean, signal: AbortSignal): Promise<Marks> {
    // Of a span without sound, say; what is aborted is not shown anyway.
    const nothing = (): null => null;
    await gate.pass(signal);
    const scenes = json<{ scenes: { start: string }[] }>(`${path("scenes", ".json")}?${query(span)}`, signal).catch(nothing);
    await gate.pass(signal);
    const silences = json<{ silences: { start: string; end: string }[] }>(`${path("silence", ".json")}?${query(span)}`, signal).catch(nothing);
    const keys = snap ? keyframes(this.channel, this.quality, span, signal).catch(nothing) : null;
    const time = (text: string): Micros => parseTime(text) ?? Number.NaN;
    return {
      scenes: (await scenes)?.scenes.map((it) => time(it.start)) ?? [],
      silences: (await silences)?.silences.map((it) => ({ start: time(it.start), end: time(it.end) })) ?? [],
      keys: (await keys) ?? [],
    };
  }

  /** Asks for the tiles of a view; those asked for before and not sent yet are given up. */
  lookTiles(view: View, interval: number, frame: Micros, frames: number): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    if (interval > 0) {
      this.#intervals = [interval, ...this.#intervals.filter((it) => it !== interval)].slice(0, 8);
      const sheet = interval * TILES * SECOND;
      for (let start = Math.floor(view.start / sheet) * sheet; start < view.end; start += sheet) {
        const parameters = query({ start: formatTime(start), interval, columns: TILES, rows: 1, width: 160 });
        void this.#load(`${interval}/${start}`, `${pathOf("storyboard", this.channel, this.quality)}/sheet.jpg?${parameters}`, signal);
      }
    } else {
      const step = frame * frames;
      for (let number = Math.floor(view.start / step); number * step < view.end; number++) {
        const at = Math.round(number * step + frame / 2);
        const parameters = query({ timestamp: formatTime(at), width: 160 });
        void this.#load(`f/${at}`, `${pathOf("frame", this.channel, this.quality)}.jpg?${parameters}`, signal);
      }
    }
  }

  async #load(key: string, path: string, signal: AbortSignal): Promise<void> {
    if (this.#tiles.has(key)) return;
    try {
      await gate.pass(signal);
      const answer = await fetch(path, { signal });
      // A hole has no frames; anything else may be asked for again.
      if (!answer.ok && answer.status !== 406) return;
      const picture = answer.ok ? await createImageBitmap(await answer.blob()) : null;
      this.#tiles.set(key, { picture, used: ++this.#tick });
      if (this.#tiles.size > KEPT) {
        const oldest = [...this.#tiles].sort((a, b) => a[1].used - b[1].used).slice(0, KEPT / 4);
        for (const [name, tile] of oldest) {
          tile.picture?.close();
          this.#tiles.delete(name);
        }
      }
      this.redraw();
    } catch {
      // Aborted, or the server is gone for a moment: the next look asks again.
    }
  }

  /** The part of a sheet that shows `at`, from the wanted interval or, until that is there, from another. */
  tile(at: Micros, interval: number): { picture: ImageBitmap; left: number; width: number } | null {
    for (const it of [interval, ...this.#intervals]) {
      const sheet = it * TILES * SECOND;
      const start = Math.floor(at / sheet) * sheet;
      const found = this.#tiles.get(`${it}/${start}`);
      if (found?.picture) {
        found.used = ++this.#tick;
        const width = found.picture.width / TILES;
        return { picture: found.picture, left: Math.min(TILES - 1, Math.floor((at - start) / (it * SECOND))) * width, width };
      }
    }
    return null;
  }

  frame(at: Micros): ImageBitmap | null {
    const found = this.#tiles.get(`f/${at}`);
    if (found) found.used = ++this.#tick;
    return found?.picture ?? null;
  }
}

/** When the keyframes of a span come on screen. */
export async function keyframes(channel: string, quality: string, span: { start: string; end: string }, signal: AbortSignal): Promise<Micros[]> {
  await gate.pass(signal);
  const answer = await ask(`${pathOf("playlist", channel, quality, "/iframes.m3u8")}?${query(span)}`, { signal });
  return readKeyframes(await answer.text());
}

/** Each keyframe lasts until the next; a date begins anew. */
export function readKeyframes(playlist: string): Micros[] {
  const found: Micros[] = [];
  let [at, length]: [Micros | null, number] = [null, 0];
  for (const line of playlist.split("\n")) {
    if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) at = parseTime(line.slice(25).trim());
    else if (line.startsWith("#EXTINF:")) length = Number.parseFloat(line.slice(8)) * SECOND;
    else if (line && !line.startsWith("#") && at !== null) {
      found.push(Math.round(at));
      at += length;
    }
  }
  return found;
}
