import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Coverage, coverage, json, pathOf, qualitiesOf, query as parameters, type Receipt } from "../../lib/api.ts";
import { cutPath, type Edit, EMPTY, fromQuery, type Range, settled, toQuery, without } from "../../lib/edit.ts";
import { useLoad } from "../../lib/hooks.ts";
import { routeTo } from "../../lib/route.ts";
import { clockOf, DAY, dayOf, formatDuration, formatTime, HOUR, localHint, type Micros, parseTime, SECOND } from "../../lib/time.ts";
import { clamp, firstView, follow, lengthOf, type View, zoom } from "../../lib/view.ts";
import { Button, Empty, Fence, Icon, Notice } from "../../ui/parts.tsx";
import { Output, useEstimate } from "./output.tsx";
import { Playback } from "./playback.ts";
import { aroundJoin, Preview } from "./preview.tsx";
import { Ranges, type Transition } from "./ranges.tsx";
import { Screen } from "./screen.tsx";
import { keyframes } from "./strip.ts";
import { type Edge, Overview, Timeline } from "./timeline.tsx";

/** What the overview reaches back to. */
const REACH = 31 * DAY;
const STEPS_BACK = 100;
/** A keyframe as near as this, in pixels, takes a point that is dragged. */
const SNAP = 10;
/** How far into a frame a step goes, in microseconds. */
const INTO = 1000;

interface Extent {
  content: View;
  cover: Coverage;
  qualities: string[];
}

/** All there is of a quality, as the overview shows it. */
async function load(channel: string, quality: string, signal: AbortSignal): Promise<Extent> {
  const [hours, names] = await Promise.all([
    json<string[]>(pathOf("files", channel, quality), signal),
    json<string[]>(`/files/${encodeURIComponent(channel)}`, signal),
  ]);
  const times = hours.flatMap((it) => (/^\d{4}-\d\d-\d\dT\d\d$/.test(it) ? [parseTime(it) ?? 0] : [])).sort((a, b) => a - b);
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined) throw new Error("Nothing is recorded of this quality.");
  const end = last + HOUR;
  const start = Math.max(first, end - REACH);
  const resolution = Math.max(0.5, Math.round((end - start) / SECOND / 1500));
  // Where the whole archive fits, its own ends are told exactly.
  const span = start === first ? {} : { start: formatTime(start) };
  let cover = await coverage(channel, quality, { ...span, resolution }, signal);
  // Of a recording that is short beside its hours, more is seen.
  const length = cover.last - Math.max(cover.start, cover.first);
  if (length < (end - start) / 3) {
    const fine = Math.max(0.1, Number((length / SECOND / 1500).toFixed(1)));
    cover = await coverage(channel, quality, { start: formatTime(Math.max(cover.start, cover.first)), end: formatTime(cover.last), resolution: fine }, signal);
  }
  return { cover, content: { start: Math.max(cover.start, cover.first), end: cover.last }, qualities: qualitiesOf(names) };
}

/** How long a frame lasts, by what a cut of two seconds would hold. */
async function frameLength(channel: string, quality: string, cover: Coverage, at: Micros, signal: AbortSignal): Promise<Micros> {
  const span = cover.spans
    .filter((it) => it.kind === "full" && it.end - it.start >= 2 * SECOND)
    .sort((a, b) => Math.abs(a.start - at) - Math.abs(b.start - at))[0];
  if (!span) return Math.round(SECOND / 30);
  const start = Math.max(span.start, Math.min(at, span.end - 2 * SECOND));
  const path = `${pathOf("cut", channel, quality, ".ts")}?${parameters({ start: formatTime(start), end: formatTime(start + 2 * SECOND), receipt: "true" })}`;
  const receipt = await json<Receipt>(path, signal);
  return receipt.frames > 1 ? Math.round((receipt.duration * SECOND) / receipt.frames) : Math.round(SECOND / 30);
}

export function Editor({ channel, quality, query }: { channel: string; quality: string; query: URLSearchParams }) {
  const [every, setEvery] = useState(0);
  const { value: extent, error, again } = useLoad((signal) => load(channel, quality, signal), `${channel}/${quality}`, every);
  useEffect(() => {
    // A stream that goes on: its end moves.
    if (extent) setEvery(Date.now() * 1000 - extent.content.end < 60 * SECOND ? 5000 : 0);
  }, [extent?.content.end]);
  if (error && !extent) {
    return (
      <div class="page">
        <Empty title={`${channel} ${quality}`}>
          <Notice>{error}</Notice>
          <div class="row">
            <Button label="Try again" onClick={again} />
            <a class="button" href="#/">
              Back to the channels
            </a>
          </div>
        </Empty>
      </div>
    );
  }
  if (!extent) return <p class="page faint">Looking…</p>;
  return <Desk channel={channel} quality={quality} query={query} extent={extent} live={every > 0} />;
}

function Desk({ channel, quality, query, extent, live }: { channel: string; quality: string; query: URLSearchParams; extent: Extent; live: boolean }) {
  const { content, cover, qualities } = extent;
  const kept = useMemo(() => fromQuery(query), []);
  const [edit, setEditNow] = useState<Edit>(kept.edit);
  const [view, setView] = useState<View>(() => clamp(kept.view ?? firstView(content), content));
  const [at, setAt] = useState<Micros>(() => Math.min(Math.max(kept.at ?? kept.edit.ranges[0]?.start ?? view.start, content.start), content.end));
  const [selected, setSelected] = useState(0);
  const [snap, setSnap] = useState(kept.snap);
  const [scrubbing, setScrubbing] = useState(false);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(0);
  const [failure, setFailure] = useState("");
  const [preview, setPreview] = useState<{ edit: Edit; title: string; hint: string } | null>(null);
  const [frame, setFrame] = useState<Micros>(Math.round(SECOND / 30));
  const [transitions, setTransitions] = useState<Transition[]>([]);
  const keys = useRef<Micros[]>([]);
  const past = useRef<Edit[]>([]);
  const ours = useRef(location.hash);
  const steps = useRef<{ base: Micros; count: number; to: Micros }>();
  const video = useRef<HTMLVideoElement>(null);
  const playback = useRef<Playback>();
  const now = useRef({ at, view, edit, selected, frame, speed, snap, content, channel, quality });
  now.current = { at, view, edit, selected, frame, speed, snap, content, channel, quality };
  const { estimate, waiting, again } = useEstimate(channel, quality, edit);

  useEffect(() => {
    const abort = new AbortController();
    json<Transition[]>("/transitions", abort.signal).then(setTransitions, () => undefined);
    return () => abort.abort();
  }, []);
  useEffect(() => {
    const abort = new AbortController();
    frameLength(channel, quality, cover, at, abort.signal).then(setFrame, () => undefined);
    return () => abort.abort();
  }, [channel, quality]);

  /** An edit that can be taken back. `small` ones, such as the steps of a drag, are put together. */
  const lastKey = useRef("");
  const setEdit = useCallback((next: Edit, key = ""): void => {
    if (!key || key !== lastKey.current) past.current = [...past.current.slice(-STEPS_BACK), now.current.edit];
    lastKey.current = key;
    setEditNow(settled(next));
  }, []);

  const takeBack = (): boolean => {
    const before = past.current.pop();
    if (before) {
      lastKey.current = "";
      setEditNow(before);
    }
    return before !== undefined;
  };

  const address = (): string => routeTo(["edit", channel, quality], toQuery({ edit, at: Math.round(at), view, snap }));
  // The address reopens this edit. Browsers allow some hundred changes in half a minute.
  useEffect(() => {
    const timer = setTimeout(() => {
      const hash = address();
      // Somebody who went elsewhere a moment ago is not brought back.
      if (location.hash !== ours.current || hash === ours.current) return;
      history.replaceState(null, "", hash);
      ours.current = location.hash;
    }, playing ? 1000 : 200);
    return () => clearTimeout(timer);
  }, [channel, quality, edit, at, view, snap, playing]);

  /** The player, and what it says. */
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const made = new Playback(element, {
      moved: (time) => {
        setAt(time);
        setView((it) => (time > it.end || time < it.start ? follow({ start: time - lengthOf(it) * 0.1, end: time + lengthOf(it) * 0.9 }, time, now.current.content) : it));
      },
      stopped: () => {
        setPlaying(false);
        setSpeed(0);
      },
      failed: (text) => {
        setPlaying(false);
        setSpeed(0);
        setFailure(text);
      },
    });
    playback.current = made;
    return () => {
      made.pause(false);
      made.unload();
    };
  }, []);
  useEffect(() => {
    pause(false);
    playback.current?.unload();
  }, [quality]);

  const pause = (settle = true): void => {
    playback.current?.pause(settle);
    setPlaying(false);
    setSpeed(0);
  };
  const play = (rate: number, from?: Micros, until?: Micros): void => {
    const { at, content, channel, quality } = now.current;
    setFailure("");
    let start = from ?? at;
    if (start >= content.end - frame) start = content.start;
    setPlaying(rate > 0);
    setSpeed(rate);
    if (rate > 0) void playback.current?.play(channel, quality, content, Math.round(start), rate, until);
    else playback.current?.pause(false);
  };
  // Backward there is nothing to play: pictures are shown one after the other.
  useEffect(() => {
    if (speed >= 0) return;
    const timer = setInterval(() => {
      const { at, content } = now.current;
      const next = at + speed * SECOND * 0.2;
      if (next <= content.start) {
        setSpeed(0);
        setScrubbing(false);
        go(content.start);
      } else {
        setScrubbing(true);
        setAt(Math.round(next));
        setView((it) => follow(it, next, content));
      }
    }, 200);
    return () => {
      clearInterval(timer);
      setScrubbing(false);
    };
  }, [speed]);

  const go = (time: Micros, move = true): void => {
    const { content } = now.current;
    const to = Math.min(Math.max(Math.round(time), content.start), content.end - 1);
    setAt(to);
    if (move) setView((it) => follow(it, to, content));
  };
  /** Before the playhead goes elsewhere. */
  const stop = (): void => pause(false);

  /** Counts frames from the last one that is known exactly, so that steps made faster than pictures come do not drift. */
  const stepFrames = (sign: number): void => {
    stop();
    const { at, frame } = now.current;
    const last = steps.current;
    const from = last && last.to === at ? { base: last.base, count: last.count + sign } : { base: at, count: sign };
    // A little into the frame: its start is known to a microsecond and rounded.
    const to = Math.min(Math.max(Math.round(from.base + from.count * frame + INTO), content.start), content.end - 1);
    steps.current = { ...from, to };
    go(to);
  };

  const nearKey = (time: Micros): Micros => {
    if (!now.current.snap) return Math.round(time);
    const reach = (SNAP / Math.max(1, document.querySelector(".timeline")?.clientWidth ?? 1000)) * lengthOf(now.current.view);
    const best = keys.current.reduce((best, it) => (Math.abs(it - time) < Math.abs(best - time) ? it : best), Number.POSITIVE_INFINITY);
    return Math.abs(best - time) <= reach ? best : Math.round(time);
  };
  const setRange = (number: number, values: Partial<Range>, key = ""): void => {
    const { edit } = now.current;
    setEdit({ ...edit, ranges: edit.ranges.map((it, at) => (at === number ? { ...it, ...values } : it)) }, key);
  };
  const setEdge = (number: number, edge: Edge, time: Micros, key = ""): void => {
    const { edit, frame, content } = now.current;
    const range = edit.ranges[number];
    if (!range) return;
    const inside = Math.min(Math.max(Math.round(time), content.start), content.end);
    // At least a frame is left of it.
    setRange(number, edge === "start" ? { start: Math.min(inside, range.end - frame) } : { end: Math.max(inside, range.start + frame) }, key);
  };
  const addRange = (start: Micros, end: Micros): void => {
    const { edit } = now.current;
    setSelected(edit.ranges.length);
    setEdit({ ...edit, ranges: [...edit.ranges, { start: Math.round(start), end: Math.round(end), name: "" }] });
  };
  const addHere = (): void => {
    const { at, view, content, frame } = now.current;
    const length = Math.max(frame, Math.min(lengthOf(view) / 5, content.end - at));
    addRange(at, Math.min(content.end, at + length));
  };
  /** The in or out point at the playhead: the frame on screen is the first or the last of the range. */
  const markEdge = (edge: Edge): void => {
    const { edit, selected, at, frame, content } = now.current;
    const range = edit.ranges[selected];
    const time = edge === "start" ? at : Math.min(content.end, at + frame);
    if (!range) return edge === "start" ? addRange(time, Math.min(content.end, time + Math.min(5 * SECOND, lengthOf(view) / 4))) : addRange(Math.max(content.start, time - Math.min(5 * SECOND, lengthOf(view) / 4)), time);
    // A point beyond the other takes it along: the range begins or ends here now.
    const length = range.end - range.start;
    if (edge === "start") setRange(selected, time < range.end ? { start: time } : { start: time, end: Math.min(content.end, time + length) });
    else setRange(selected, time > range.start ? { end: time } : { start: Math.max(content.start, time - length), end: time });
  };
  const toKeyframe = async (sign: number): Promise<void> => {
    const { at, channel, quality } = now.current;
    const span = { start: formatTime(Math.round(at - 30 * SECOND)), end: formatTime(Math.round(at + 30 * SECOND)) };
    const found = await keyframes(channel, quality, span, new AbortController().signal).catch(() => []);
    const next = sign < 0 ? found.findLast((it) => it < at - 1000) : found.find((it) => it > at + 1000);
    if (next !== undefined) go(next);
  };
  const fitRange = (): void => {
    const range = edit.ranges[selected];
    if (range) setView(clamp({ start: range.start - (range.end - range.start) * 0.15, end: range.end + (range.end - range.start) * 0.15 }, content));
  };
  const ready = edit.ranges.length > 0 && !(estimate && "problem" in estimate);
  const openPreview = (): void => {
    pause();
    if (ready) setPreview({ edit, title: "Preview of the clip", hint: "This is the clip itself, as it will be downloaded, played from the server." });
  };

  const pressed = useRef<(event: KeyboardEvent) => void>(() => undefined);
  pressed.current = (event) => {
    const target = event.target as Element | null;
    const typing = target?.closest("input, select, textarea, [contenteditable]") && !(target instanceof HTMLInputElement && ["checkbox", "radio"].includes(target.type));
    if (typing || preview || document.querySelector("dialog[open]") || event.altKey) return;
    const onButton = target?.closest("button, a, summary");
    const { frame, content, view, edit, selected, at } = now.current;
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z") {
      if (takeBack()) event.preventDefault();
      return;
    }
    if (control && !event.key.startsWith("Arrow")) return;
    const range = edit.ranges[selected];
    const step = (sign: number): void => {
      const by = control ? 10 * SECOND : event.shiftKey ? SECOND : 0;
      if (by) {
        stop();
        go(at + sign * by);
      } else stepFrames(sign);
    };
    const keys: Record<string, () => void> = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      " ": () => (playing || speed ? pause() : play(1)),
      k: () => (playing || speed ? pause() : play(1)),
      l: () => play(speed > 0 ? Math.min(8, speed * 2) : 1),
      j: () => play(speed < 0 ? Math.max(-32, speed * 2) : -1),
      p: () => range && play(1, range.start, range.end),
      i: () => markEdge("start"),
      o: () => markEdge("end"),
      n: addHere,
      x: () => range && (setEdit(without(edit, selected)), setSelected(Math.max(0, selected - 1))),
      Delete: () => range && (setEdit(without(edit, selected)), setSelected(Math.max(0, selected - 1))),
      s: () => setSnap((it) => !it),
      f: fitRange,
      d: () => document.getElementById("download")?.click(),
      "0": () => setView(content),
      "+": () => setView(zoom(view, 0.5, at, content)),
      "=": () => setView(zoom(view, 0.5, at, content)),
      "-": () => setView(zoom(view, 2, at, content)),
      ",": () => (stop(), void toKeyframe(-1)),
      ".": () => (stop(), void toKeyframe(1)),
      "[": () => range && (stop(), go(range.start)),
      "]": () => range && (stop(), go(range.end - frame / 2)),
      Home: () => (stop(), go(view.start, false)),
      End: () => (stop(), go(view.end - frame, false)),
      Enter: openPreview,
    };
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && !event.repeat) action();
    else if (action && event.key.startsWith("Arrow")) action();
    if (action) event.preventDefault();
  };
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => pressed.current(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);

  const changeQuality = (next: string): void => {
    history.replaceState(null, "", routeTo(["edit", channel, next], toQuery({ edit, at: Math.round(at), view, snap })));
    dispatchEvent(new HashChangeEvent("hashchange"));
  };
  const note = speed === 0 || speed === 1 ? "" : speed < 0 ? `◀ ${-speed}×` : `▶ ${speed}×`;
  return (
    <div class="desk">
      <header class="desk-head">
        <a class="button plain bare" href="#/" aria-label="Back to the channels" title="Back to the channels">
          <Icon name="back" />
        </a>
        <h1>
          {channel} <span>{quality}</span>
        </h1>
        {live && <span class="badge live">live</span>}
        <a
          class="button plain"
          href={routeTo(["thumbnails"], new URLSearchParams({ channel, quality, at: formatTime(Math.round(at)) }))}
          title="Put this frame into a template"
        >
          <Icon name="camera" />
          <span>Thumbnail</span>
        </a>
      </header>
      <div class="stage">
        <Fence name="The player">
          <Screen
            channel={channel}
            quality={quality}
            at={Math.round(at)}
            scrubbing={scrubbing}
            playing={playing}
            note={note}
            video={video}
            onStill={(asked, exact) => {
              // The playhead stands on the frame's own start.
              if (now.current.at === asked) setAt(exact);
            }}
          />
        </Fence>
        {failure && <Notice>{failure}</Notice>}
        <div class="transport" role="toolbar" aria-label="Player">
          <Button bare icon="stepBack" label="A frame back" keys="←" onClick={() => stepFrames(-1)} />
          <Button
            bare
            filled
            icon={playing ? "pause" : "play"}
            kind="main"
            label={playing ? "Pause" : "Play"}
            keys="Space"
            onClick={() => (playing || speed ? pause() : play(1))}
          />
          <Button bare icon="stepForward" label="A frame forward" keys="→" onClick={() => stepFrames(1)} />
          <p class="clock">
            <time dateTime={formatTime(Math.round(at))}>{clockOf(at)}</time>
            <span>{dayOf(at)} UTC</span>
            {localHint(at) && <span class="local">{localHint(at)}</span>}
          </p>
          <Button label="In" keys="I" onClick={() => markEdge("start")} />
          <Button label="Out" keys="O" onClick={() => markEdge("end")} />
          <span class="gap" />
          <label class="check">
            <input type="checkbox" checked={snap} onChange={(event) => setSnap(event.currentTarget.checked)} />
            <span>Snap to keyframes</span>
          </label>
          <span class="spring" />
          <Button bare icon="minus" label="See more" keys="-" onClick={() => setView(zoom(view, 2, at, content))} />
          <Button bare icon="plus" label="See closer" keys="+" onClick={() => setView(zoom(view, 0.5, at, content))} />
          <Button bare icon="fit" label="See everything" keys="0" onClick={() => setView(content)} />
        </div>
        <Fence name="The timeline">
          <Timeline
            channel={channel}
            quality={quality}
            content={content}
            view={view}
            at={at}
            frame={frame}
            ranges={edit.ranges}
            selected={selected}
            snap={snap}
            onView={setView}
            onScrub={(time, done) => {
              stop();
              setScrubbing(!done);
              go(time, false);
            }}
            onMark={(start, end, done) => {
              stop();
              const span = { start: nearKey(Math.max(content.start, start)), end: nearKey(Math.min(content.end, end)) };
              if (span.end - span.start < frame) return;
              // The first move of a drag begins the range, the others change it.
              const { edit, selected } = now.current;
              if (!edit.ranges[selected]) {
                setSelected(0);
                setEdit({ ...edit, ranges: [{ ...span, name: "" }] }, "mark");
              } else setRange(selected, span, "mark");
              if (done) lastKey.current = "";
              setScrubbing(!done);
              go(done ? span.start : Math.abs(end - now.current.at) > Math.abs(start - now.current.at) ? start : end, false);
            }}
            onUnmark={() => {
              takeBack();
              setScrubbing(false);
            }}
            onEdge={(number, edge, time, done) => {
              stop();
              const to = nearKey(time);
              setEdge(number, edge, to, `edge ${number} ${edge}`);
              if (done) lastKey.current = "";
              setScrubbing(!done);
              go(edge === "start" ? to : to - frame / 2, false);
            }}
            onEdgeKey={(number, edge, by, sign) => {
              stop();
              const range = edit.ranges[number];
              if (!range) return;
              const to = range[edge] + sign * (by === "frame" ? frame : SECOND);
              setEdge(number, edge, to, `key ${number} ${edge}`);
              go(edge === "start" ? to : to - frame / 2);
            }}
            onSelect={setSelected}
            onKeys={(found) => (keys.current = found)}
          />
        </Fence>
        <Overview content={content} view={view} at={at} ranges={edit.ranges} cover={cover.spans} onView={setView} />
        <p class="view-words faint">
          <span>{formatTime(view.start, 0).replace("T", " ")}</span>
          <span>{formatDuration(lengthOf(view))} in view</span>
          <span>{lengthOf(view) > DAY ? formatTime(view.end, 0).replace("T", " ") : clockOf(view.end, 0)}</span>
        </p>
      </div>
      <div class="panel">
        <Fence name="The ranges">
          <Ranges
            channel={channel}
            quality={quality}
            edit={edit}
            selected={selected}
            frame={frame}
            transitions={transitions}
            onEdit={(next) => {
              setEdit(next, "list");
              lastKey.current = "";
            }}
            onSelect={setSelected}
            onEdge={(number, edge, time) => setEdge(number, edge, time)}
            onGo={(time) => (stop(), go(time))}
            onAdd={addHere}
            onPreviewJoin={(number) => (pause(), setPreview({ edit: aroundJoin(edit, number), title: "The transition", hint: "The end of one range and the beginning of the next." }))}
          />
        </Fence>
        <Fence name="The clip">
          <Output
            channel={channel}
            quality={quality}
            qualities={qualities}
            edit={edit}
            estimate={estimate}
            waiting={waiting}
            onEdit={setEdit}
            onQuality={changeQuality}
            onPreview={openPreview}
            onAgain={again}
            link={() => location.href.replace(/#.*/, "") + address()}
            // What is prepared has an exact length; HEAD answers once it is.
            onDownloaded={() => void fetch(cutPath(channel, quality, edit), { method: "HEAD" }).then(again, () => undefined)}
          />
        </Fence>
        {edit.ranges.length > 0 && (
          <Button
            label="Start over"
            onClick={() => {
              setEdit({ ...EMPTY, container: edit.container, type: edit.type, holes: edit.holes });
              setSelected(0);
            }}
          />
        )}
      </div>
      {preview && (
        <Preview
          key={cutPath(channel, quality, preview.edit)}
          channel={channel}
          quality={quality}
          edit={preview.edit}
          title={preview.title}
          hint={preview.hint}
          onClose={() => {
            setPreview(null);
            again();
          }}
        />
      )}
    </div>
  );
}
