import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Range } from "../../lib/edit.ts";
import { useSize } from "../../lib/hooks.ts";
import { clockOf, dayOf, formatDuration, type Micros, SECOND } from "../../lib/time.ts";
import { lengthOf, pan, timeAt, type View, xOf, zoom } from "../../lib/view.ts";
import { type Colours, coloursOf, HEIGHT, paint, ROWS, spoken, TILE } from "./paint.ts";
import { Strip } from "./strip.ts";

export type Edge = "start" | "end";

interface Props {
  channel: string;
  quality: string;
  content: View;
  view: View;
  at: Micros;
  frame: Micros;
  ranges: Range[];
  selected: number;
  snap: boolean;
  /** A view that is shown from now on. */
  onView: (view: View) => void;
  /** The playhead is dragged; `done` once it is let go. */
  onScrub: (at: Micros, done: boolean) => void;
  /** A span is drawn. */
  onMark: (start: Micros, end: Micros, done: boolean) => void;
  /** What was drawn was none: a second finger came. */
  onUnmark: () => void;
  /** An edge is dragged. */
  onEdge: (range: number, edge: Edge, at: Micros, done: boolean) => void;
  onEdgeKey: (range: number, edge: Edge, by: "frame" | "second", sign: number) => void;
  onSelect: (range: number) => void;
  /** Says where the nearest keyframes are, as far as they are known. */
  onKeys: (keys: Micros[]) => void;
}

/** What a pointer that is down does. */
type Drag =
  | { kind: "scrub" }
  | { kind: "press"; x: number; at: Micros }
  | { kind: "mark"; from: Micros }
  | { kind: "edge"; range: number; edge: Edge }
  | { kind: "pinch"; view: View; distance: number; middle: Micros };

/** Pixels a press may move and still be a click; a fingertip is never quite still. */
const slackOf = (event: PointerEvent): number => (event.pointerType === "touch" ? 10 : 4);

/** How tiles stand for time at this zoom. */
function tiling(view: View, width: number, frame: Micros): { interval: number; every: number } {
  const wanted = (lengthOf(view) / SECOND / width) * TILE;
  const interval = [3600, 1800, 1200, 600, 300, 120, 60, 30, 20, 10, 5, 4, 2, 1].find((it) => it <= wanted * 1.2) ?? 0;
  return { interval, every: Math.max(1, Math.ceil((wanted * SECOND) / frame / 1.2)) };
}

export function Timeline(props: Props) {
  const { channel, quality, content, view, at, frame, ranges, selected, snap } = props;
  const [box, { width }] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [turn, setTurn] = useState(0);
  const [hover, setHover] = useState<number | null>(null);
  const [dragging, setDragging] = useState(false);
  const drag = useRef<Drag | null>(null);
  const pointers = useRef(new Map<number, number>());
  const now = useRef(props);
  now.current = props;

  const strip = useMemo(() => {
    let asked = 0;
    return new Strip(channel, quality, () => {
      cancelAnimationFrame(asked);
      asked = requestAnimationFrame(() => setTurn((it) => it + 1));
    });
  }, [channel, quality]);
  useEffect(() => () => strip.stop(), [strip]);
  useEffect(() => props.onKeys(strip.marks.keys), [strip.marks.keys]);

  // Keeps colours until the theme changes.
  const colours = useRef<Colours | null>(null);
  useEffect(() => {
    const changed = (): void => {
      colours.current = null;
      setTurn((it) => it + 1);
    };
    addEventListener("themechange", changed);
    return () => removeEventListener("themechange", changed);
  }, []);

  useEffect(() => {
    if (width > 0) strip.look(view, width, snap);
  }, [strip, view.start, view.end, width, snap, content.end]);
  const { interval, every } = tiling(view, Math.max(1, width), frame);
  useEffect(() => {
    if (width === 0) return;
    const timer = setTimeout(() => strip.lookTiles(view, interval, frame, every), 90);
    return () => clearTimeout(timer);
  }, [strip, view.start, view.end, width, interval, every, frame]);

  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    const ratio = Math.min(3, devicePixelRatio || 1);
    if (element.width !== Math.round(width * ratio)) element.width = Math.round(width * ratio);
    if (element.height !== Math.round(HEIGHT * ratio)) element.height = Math.round(HEIGHT * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    colours.current ??= coloursOf(element);
    paint(context, colours.current, { view, width, content, interval, frames: { length: frame, every }, strip });
  }, [view.start, view.end, width, turn, interval, every, frame, strip]);

  // Wheels zoom where the pointer is; a listener that may stop the page from scrolling cannot be passive.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const { view, content, onView } = now.current;
      const rect = element.getBoundingClientRect();
      const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? rect.height : 1;
      const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        onView(pan(view, ((across * unit) / rect.width) * lengthOf(view), content));
      } else {
        const factor = Math.exp((event.deltaY * unit * (event.ctrlKey ? 4 : 1)) / 500);
        onView(zoom(view, factor, timeAt(view, rect.width, event.clientX - rect.left), content));
      }
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);

  const place = (event: PointerEvent): { x: number; y: number; at: Micros } => {
    const rect = box.current!.getBoundingClientRect();
    const x = Math.min(rect.width, Math.max(0, event.clientX - rect.left));
    return { x, y: event.clientY - rect.top, at: Math.round(timeAt(now.current.view, rect.width, x)) };
  };

  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const here = place(event);
    pointers.current.set(event.pointerId, here.x);
    box.current?.setPointerCapture(event.pointerId);
    if (pointers.current.size === 2) {
      const [a = 0, b = 0] = [...pointers.current.values()];
      const middle = timeAt(view, width, (a + b) / 2);
      if (drag.current?.kind === "mark") props.onUnmark();
      else if (drag.current?.kind === "scrub" || drag.current?.kind === "edge") finish(timeAt(view, width, a), drag.current);
      drag.current = { kind: "pinch", view, distance: Math.max(20, Math.abs(a - b)), middle };
      return;
    }
    const edge = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-edge]") : null;
    if (edge) {
      event.preventDefault();
      edge.focus();
      const range = Number(edge.dataset["range"]);
      drag.current = { kind: "edge", range, edge: edge.dataset["edge"] as Edge };
      props.onSelect(range);
    } else if (here.y < ROWS.ruler) {
      drag.current = { kind: "scrub" };
      props.onScrub(here.at, false);
    } else drag.current = { kind: "press", x: here.x, at: here.at };
    setDragging(true);
  };

  const move = (event: PointerEvent): void => {
    const here = place(event);
    setHover(event.pointerType === "mouse" ? here.x : null);
    if (!pointers.current.has(event.pointerId)) return;
    pointers.current.set(event.pointerId, here.x);
    const what = drag.current;
    const { onScrub, onEdge, onMark, onView, content } = now.current;
    switch (what?.kind) {
      case "scrub":
        return onScrub(here.at, false);
      case "edge":
        return onEdge(what.range, what.edge, here.at, false);
      case "press":
        if (Math.abs(here.x - what.x) < slackOf(event)) return;
        drag.current = { kind: "mark", from: what.at };
        return onMark(Math.min(what.at, here.at), Math.max(what.at, here.at), false);
      case "mark":
        return onMark(Math.min(what.from, here.at), Math.max(what.from, here.at), false);
      case "pinch": {
        const [a = 0, b = 0] = [...pointers.current.values()];
        const length = (lengthOf(what.view) * what.distance) / Math.max(20, Math.abs(a - b));
        const start = what.middle - ((a + b) / 2 / width) * length;
        return onView(pan({ start, end: start + length }, 0, content));
      }
      default:
    }
  };

  const finish = (at: Micros, what: Drag): void => {
    if (what.kind === "scrub") props.onScrub(at, true);
    else if (what.kind === "mark") props.onMark(Math.min(what.from, at), Math.max(what.from, at), true);
    else if (what.kind === "edge") props.onEdge(what.range, what.edge, at, true);
  };

  const up = (event: PointerEvent): void => {
    if (!pointers.current.delete(event.pointerId)) return;
    const { at } = place(event);
    const what = drag.current;
    drag.current = null;
    setDragging(false);
    // A press that the browser took for its own, to scroll the page, was no click.
    if (what?.kind === "press" && event.type === "pointerup") {
      const inside = ranges.findIndex((it) => it.start <= at && at < it.end);
      if (inside >= 0) props.onSelect(inside);
      props.onScrub(at, true);
    } else if (what) finish(at, what);
  };

  const x = (time: Micros): number => xOf(view, Math.max(1, width), time);
  const hoverTime = hover === null ? null : timeAt(view, Math.max(1, width), hover);
  const digits = lengthOf(view) < 20 * SECOND ? 3 : 0;
  return (
    <div
      ref={box}
      class={`timeline${dragging ? " dragging" : ""}`}
      style={{ height: `${HEIGHT}px` }}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onPointerLeave={() => setHover(null)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {ranges.map((range, number) => {
        const [left, right] = [x(range.start), x(range.end)];
        if (right < -20 || left > width + 20) return null;
        const name = range.name || `Range ${number + 1}`;
        const edge = (which: Edge) => (
          <div
            class={`handle ${which}`}
            role="slider"
            tabIndex={0}
            aria-label={`${name}: ${which === "start" ? "in" : "out"} point`}
            aria-valuemin={Math.round(content.start / SECOND)}
            aria-valuemax={Math.round(content.end / SECOND)}
            aria-valuenow={Math.round(range[which] / SECOND)}
            aria-valuetext={spoken(range[which])}
            data-edge={which}
            data-range={number}
            onFocus={() => props.onSelect(number)}
            onKeyDown={(event) => {
              const sign = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
              if (!sign) return;
              event.preventDefault();
              event.stopPropagation();
              props.onEdgeKey(number, which, event.shiftKey ? "second" : "frame", sign);
            }}
          />
        );
        return (
          <div
            class={`range c${number % 6}${number === selected ? " selected" : ""}`}
            style={{ left: `${left}px`, width: `${Math.max(1, right - left)}px` }}
          >
            {right - left > 110 && (
              <span class="range-name">
                {name} · {formatDuration(range.end - range.start)}
              </span>
            )}
            {edge("start")}
            {edge("end")}
          </div>
        );
      })}
      {x(at) >= 0 && x(at) <= width && <div class="playhead" style={{ transform: `translateX(${x(at)}px)` }} />}
      {hoverTime !== null && hover !== null && (
        <div class="hover" style={{ left: `${Math.min(width - 40, Math.max(40, hover))}px` }} aria-hidden="true">
          {lengthOf(view) > 20 * 3600 * SECOND ? `${dayOf(hoverTime).slice(5)} ` : ""}
          {clockOf(hoverTime, digits)}
        </div>
      )}
    </div>
  );
}

/** All there is, and which part of it is in view. */
export function Overview({ content, view, at, ranges, cover, onView }: {
  content: View;
  view: View;
  at: Micros;
  ranges: Range[];
  cover: { start: Micros; end: Micros; kind: string }[];
  onView: (view: View) => void;
}) {
  const ref = useRef<HTMLDivElement>(null);
  const grip = useRef<number | null>(null);
  const share = (time: Micros): number => ((time - content.start) / Math.max(1, lengthOf(content))) * 100;
  const timeOf = (event: PointerEvent): Micros => {
    const rect = ref.current!.getBoundingClientRect();
    return timeAt(content, rect.width, event.clientX - rect.left);
  };
  const length = lengthOf(view);
  return (
    <div
      ref={ref}
      class="overview"
      role="slider"
      tabIndex={0}
      aria-label="View"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share(view.start))}
      aria-valuetext={`${spoken(view.start)}, ${formatDuration(length)} in view`}
      onKeyDown={(event) => {
        const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!sign) return;
        event.preventDefault();
        event.stopPropagation();
        onView(pan(view, (sign * length) / 4, content));
      }}
      onPointerDown={(event) => {
        ref.current?.setPointerCapture(event.pointerId);
        const time = timeOf(event);
        const inside = time >= view.start && time <= view.end;
        grip.current = inside ? time - view.start : length / 2;
        if (!inside) onView(pan(view, time - length / 2 - view.start, content));
      }}
      onPointerMove={(event) => {
        if (grip.current !== null) onView(pan(view, timeOf(event) - grip.current - view.start, content));
      }}
      onPointerUp={() => (grip.current = null)}
      onPointerCancel={() => (grip.current = null)}
    >
      {cover.map((it) => (
        <i class={it.kind} style={{ left: `${share(it.start)}%`, width: `max(1px, ${share(it.end) - share(it.start)}%)` }} />
      ))}
      {ranges.map((it, number) => (
        <i class={`mark c${number % 6}`} style={{ left: `${share(it.start)}%`, width: `max(2px, ${share(it.end) - share(it.start)}%)` }} />
      ))}
      <b style={{ left: `${share(view.start)}%`, width: `max(6px, ${share(view.end) - share(view.start)}%)` }} />
      <u style={{ left: `${share(at)}%` }} />
    </div>
  );
}
