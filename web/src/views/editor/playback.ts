import type Hls from "hls.js";
import type { Fragment, LevelDetails } from "hls.js";
import { pathOf, query } from "../../lib/api.ts";
import { formatTime, type Micros, MINUTE, parseTime, SECOND } from "../../lib/time.ts";
import type { View } from "../../lib/view.ts";

/** How much of the archive a player is given at a time: its list stays small, and it goes on with the next. */
const WINDOW = 30 * MINUTE;
/** Milliseconds after a pause in which a picture that was on its way comes on screen. */
const SETTLE = 500;

export interface Listener {
  /** The picture that is shown now is the one of `at`. */
  moved: (at: Micros) => void;
  stopped: () => void;
  failed: (text: string) => void;
}

/** Plays the archive from an instant on and says which instant is on screen. */
export class Playback {
  #hls: Hls | undefined;
  #details: LevelDetails | undefined;
  #window: View = { start: 0, end: 0 };
  #until = Number.POSITIVE_INFINITY;
  #turn = 0;
  #frames = 0;
  /** When it was paused, while its last picture may still come. */
  #settling = 0;

  constructor(
    readonly video: HTMLVideoElement,
    readonly listener: Listener,
  ) {
    video.addEventListener("ended", () => this.#ended());
  }

  /** Plays from `at`, to `until` where that is given. `content` is where there is something. */
  async play(channel: string, quality: string, content: View, at: Micros, rate: number, until?: Micros): Promise<void> {
    const turn = ++this.#turn;
    this.#until = until ?? Number.POSITIVE_INFINITY;
    const place = this.#mediaOf(at);
    if (this.#hls && this.#details && at >= this.#window.start && at < this.#window.end && place !== null) {
      this.video.currentTime = place;
    } else {
      this.unload();
      const end = Math.min(at + WINDOW, content.end);
      this.#window = { start: at, end };
      const { default: Player } = await import("hls.js");
      if (turn !== this.#turn) return;
      if (!Player.isSupported()) return this.listener.failed("This browser cannot play the archive; pictures still work.");
      const hls = new Player({ autoStartLoad: false, maxBufferLength: 20, backBufferLength: 30, maxMaxBufferLength: 60 });
      this.#hls = hls;
      hls.on(Player.Events.LEVEL_LOADED, (_, { details }) => {
        const first = this.#details === undefined;
        this.#details = details;
        if (first) hls.startLoad(this.#mediaOf(at) ?? 0);
      });
      hls.on(Player.Events.MANIFEST_PARSED, () => {
        if (!this.#details) hls.startLoad(0);
      });
      hls.on(Player.Events.ERROR, (_, error) => {
        if (!error.fatal) return;
        const empty = error.details === Player.ErrorDetails.LEVEL_EMPTY_ERROR || error.details === Player.ErrorDetails.MANIFEST_PARSING_ERROR;
        this.unload();
        this.listener.failed(empty ? "Nothing is recorded here." : `The player stopped: ${error.details}`);
      });
      hls.loadSource(`${pathOf("playlist", channel, quality, ".m3u8")}?${query({ start: formatTime(at), end: formatTime(end) })}`);
      hls.attachMedia(this.video);
    }
    this.video.playbackRate = rate;
    this.#watch(turn);
    try {
      await this.video.play();
    } catch (error) {
      if (turn === this.#turn && !(error instanceof DOMException && error.name === "AbortError")) {
        this.listener.failed(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** With `settle`, the picture it stops at is told of, which may come on screen a moment later. */
  pause(settle: boolean): void {
    const played = !this.video.paused;
    this.video.pause();
    if (settle && played) this.#settling = performance.now();
    else this.#turn++;
  }

  unload(): void {
    this.#hls?.destroy();
    this.#hls = undefined;
    this.#details = undefined;
  }

  /** Tells of every picture that comes on screen, for as long as this turn lasts. */
  #watch(turn: number): void {
    cancelAnimationFrame(this.#frames);
    const tell = (mediaTime: number): void => {
      const at = this.#wallOf(mediaTime);
      if (at === null || turn !== this.#turn) return;
      if (this.video.paused && performance.now() - this.#settling > SETTLE) return;
      if (at >= this.#until) {
        this.pause(false);
        this.listener.moved(this.#until);
        this.listener.stopped();
      } else this.listener.moved(at);
    };
    if ("requestVideoFrameCallback" in this.video) {
      const each = (_: number, { mediaTime }: { mediaTime: number }): void => {
        if (turn !== this.#turn) return;
        tell(mediaTime);
        this.video.requestVideoFrameCallback(each);
      };
      this.video.requestVideoFrameCallback(each);
    } else {
      const video = this.video as HTMLVideoElement;
      const each = (): void => {
        if (turn !== this.#turn) return;
        tell(video.currentTime);
        this.#frames = requestAnimationFrame(each);
      };
      this.#frames = requestAnimationFrame(each);
    }
  }

  #ended(): void {
    this.pause(true);
    this.listener.stopped();
  }

  /** Where the first picture of a fragment is in the player's time: exact once it was parsed. */
  #baseOf(fragment: Fragment): number {
    return fragment.elementaryStreams.video?.startPTS ?? fragment.start;
  }

  /** The instant of a picture. The playlist tells when each segment's first picture was on screen. */
  #wallOf(media: number): Micros | null {
    const fragments = this.#details?.fragments ?? [];
    // A picture's time may be rounded to just before its own segment.
    const found = fragments.findLast((it) => this.#baseOf(it) <= media + 0.0005) ?? fragments[0];
    const start = found?.rawProgramDateTime ? parseTime(found.rawProgramDateTime) : null;
    return found && start !== null ? Math.round(start + (media - this.#baseOf(found)) * SECOND) : null;
  }

  #mediaOf(at: Micros): number | null {
    const fragments = this.#details?.fragments ?? [];
    const start = (it: Fragment): number => (it.rawProgramDateTime ? parseTime(it.rawProgramDateTime) : null) ?? Number.NaN;
    const found = fragments.findLast((it) => start(it) <= at) ?? fragments[0];
    if (!found) return null;
    const into = Math.max(0, (at - start(found)) / SECOND);
    // In a hole: where it goes on.
    return this.#baseOf(found) + Math.min(into, found.duration);
  }
}
