import { useEffect, useRef, useState } from "preact/hooks";
import { isAbort, pathOf, Problem, query, type Still, still, textOf } from "../../lib/api.ts";
import { useSize } from "../../lib/hooks.ts";
import { Chain } from "../../lib/pace.ts";
import { clockOf, formatTime, type Micros } from "../../lib/time.ts";
import { Button } from "../../ui/parts.tsx";

interface Wish {
  channel: string;
  quality: string;
  at: Micros;
  /** The nearest keyframe before will do: the pointer is still moving. */
  rough: boolean;
  width: number;
}

interface Props {
  channel: string;
  quality: string;
  at: Micros;
  scrubbing: boolean;
  playing: boolean;
  /** A word over the picture, such as the speed. */
  note: string;
  video: preact.RefObject<HTMLVideoElement>;
  /** The frame on screen, exactly. */
  onStill: (asked: Micros, at: Micros) => void;
}

/** Widths that stills come in, so that the server draws few sizes. */
const WIDTHS = [480, 640, 960, 1280, 1920];

const pathFor = (wish: Wish): string =>
  `${pathOf("frame", wish.channel, wish.quality)}.jpg?${query({
    timestamp: formatTime(wish.at),
    width: wish.rough ? Math.min(640, wish.width) : wish.width,
    accuracy: wish.rough ? "keyframe" : undefined,
  })}`;

/** The player while it plays, and the picture of exactly this instant while it does not. */
export function Screen({ channel, quality, at, scrubbing, playing, note, video, onStill }: Props) {
  const [box, size] = useSize<HTMLDivElement>();
  const [shown, setShown] = useState<(Still & { exact: boolean }) | null>(null);
  const [problem, setProblem] = useState<{ at: Micros; text: string; empty: boolean } | null>(null);
  const [turn, setTurn] = useState(0);
  const told = useRef(onStill);
  told.current = onStill;
  const last = useRef("");
  const chain = useRef<Chain<Wish, Still>>();
  chain.current ??= new Chain<Wish, Still>(
    (wish, signal) => still(pathFor(wish), wish.at, signal),
    (wish, picture, newer) => {
      if (last.current) URL.revokeObjectURL(last.current);
      last.current = picture.url;
      setProblem(null);
      setShown({ ...picture, exact: !wish.rough });
      if (!newer && !wish.rough) told.current(wish.at, picture.at);
    },
    (wish, error, newer) => {
      if (newer || isAbort(error)) return;
      const empty = error instanceof Problem && error.status === 406;
      setProblem({ at: wish.at, text: empty ? "Nothing is recorded at this instant." : textOf(error), empty });
    },
  );
  useEffect(
    () => () => {
      chain.current?.stop();
      if (last.current) URL.revokeObjectURL(last.current);
    },
    [],
  );
  const pixels = size.width * Math.min(2, devicePixelRatio || 1);
  const width = WIDTHS.find((it) => it >= pixels) ?? 1920;
  const settled = shown !== null && !scrubbing && shown.exact && (shown.asked === at || shown.at === at);
  useEffect(() => {
    if (playing || size.width === 0 || settled) return;
    chain.current?.want({ channel, quality, at, rough: scrubbing, width });
  }, [channel, quality, at, scrubbing, playing, width, size.width > 0, turn]);

  // A picture of another instant is never taken for this one: it says what it is, or it is covered.
  const failed = problem !== null && problem.at === at;
  const state = failed ? "failed" : settled ? "settled" : "waiting";
  return (
    <div ref={box} class="screen" data-state={playing ? "playing" : state}>
      <video ref={video} playsInline muted={false} tabIndex={-1} aria-label={`${channel} ${quality}`} />
      {!playing && shown && !failed && (
        <img
          src={shown.url}
          alt={`The frame at ${formatTime(shown.at, 3)}`}
          data-asked={formatTime(shown.asked)}
          data-at={formatTime(shown.at)}
          data-exact={shown.exact ? "1" : "0"}
        />
      )}
      {!playing && failed && (
        <div class="nothing" role="status">
          <p>{problem.text}</p>
          {!problem.empty && <Button label="Try again" onClick={() => (setProblem(null), setTurn((it) => it + 1))} />}
        </div>
      )}
      {!playing && shown && !failed && !settled && (
        <div class="approximate">{scrubbing ? `keyframe ${clockOf(shown.at)}` : "loading the frame"}</div>
      )}
      {note && <div class="speed">{note}</div>}
    </div>
  );
}

/** A small still of one instant. */
export function Thumb({ channel, quality, at, label }: { channel: string; quality: string; at: Micros; label: string }) {
  const [loaded, setLoaded] = useState("");
  const path = `${pathOf("frame", channel, quality)}.jpg?${query({ timestamp: formatTime(at), width: 240 })}`;
  const [failed, setFailed] = useState("");
  return (
    <figure class={`thumb${loaded === path ? "" : " waiting"}`}>
      {failed === path ? (
        <div class="nothing" />
      ) : (
        <img key={path} src={path} alt={`${label}: the frame at ${formatTime(at, 3)}`} onLoad={() => setLoaded(path)} onError={() => setFailed(path)} />
      )}
      <figcaption>{label}</figcaption>
    </figure>
  );
}
