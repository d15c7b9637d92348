import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Coverage, coverage, json, pathOf, qualitiesOf } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { routeTo } from "../lib/route.ts";
import { clockOf, DAY, dayOf, formatTime, HOUR, localHint, type Micros, MINUTE, parseTime, roughDuration, SECOND } from "../lib/time.ts";
import { Button, Empty, Notice } from "../ui/parts.tsx";

/** Days shown of a quality before one asks for more. */
const DAYS = 7;
/** Pixels below the window in which days are asked for already. */
const MARGIN = 300;
/** A segment that ended so long ago is of a stream that goes on. */
const LIVE = 30 * SECOND;

const nowMicros = (): Micros => Date.now() * 1000;
const KINDS = ["full", "suspect", "partial", "hole"] as const;

/** What a row of bars reaches over: a day, or of a short recording the little that it is. */
interface Frame {
  start: Micros;
  end: Micros;
  name: string;
}

/** Days, the latest first; one frame for what fits into some hours. */
function framesOf(times: Micros[], first: Micros | undefined, last: Micros | undefined): Frame[] {
  if (first !== undefined && last !== undefined && last - first <= 6 * HOUR) {
    const step = last - first <= 10 * MINUTE ? MINUTE : last - first <= HOUR ? 5 * MINUTE : 30 * MINUTE;
    return [{ start: Math.floor(first / step) * step, end: Math.ceil(last / step) * step, name: dayOf(first) }];
  }
  const days = [...new Set(times.map((it) => Math.floor(it / DAY) * DAY))].sort((a, b) => b - a);
  return days.map((day) => ({ start: day, end: day + DAY, name: dayOf(day) }));
}

interface BarProps {
  channel: string;
  quality: string;
  frame: Frame;
  /** Told where the last segment of the quality ends. */
  onLast: (last: Micros) => void;
}

function Bar({ channel, quality, frame, onLast }: BarProps) {
  const ref = useRef<HTMLAnchorElement>(null);
  const [near, setNear] = useState(false);
  // Days far down the page are not asked for before they are near.
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    if (element.getBoundingClientRect().top < innerHeight + MARGIN) return setNear(true);
    const observer = new IntersectionObserver((seen) => seen.some((it) => it.isIntersecting) && setNear(true), { rootMargin: `${MARGIN}px` });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const length = frame.end - frame.start;
  const now = nowMicros();
  const grows = now > frame.start && now < frame.end + MINUTE;
  const span = { start: formatTime(frame.start), end: formatTime(frame.end), resolution: Math.max(0.1, Math.round(length / SECOND / 144) / 10) };
  const load = (signal: AbortSignal): Promise<Coverage | null> => (near ? coverage(channel, quality, span, signal) : Promise.resolve(null));
  const { value, error } = useLoad(load, `${channel}/${quality}/${frame.start}/${frame.end}/${near}`, grows && near ? 15_000 : 0);
  useEffect(() => {
    if (value) onLast(value.last);
  }, [value]);
  const [hover, setHover] = useState<Micros | null>(null);
  const at = (event: MouseEvent): Micros => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return frame.start + ((event.clientX - box.left) / box.width) * length;
  };
  // What lies before the first segment and behind the last is not missing: it was never recorded.
  const inside = (value?.spans ?? []).flatMap((it) => {
    const [start, end] = [Math.max(it.start, value!.first), Math.min(it.end, value!.last)];
    return start < end ? [{ ...it, start, end }] : [];
  });
  const there = value ? value.totals.full + value.totals.suspect + value.totals.partial : 0;
  const begin = inside.find((it) => it.kind !== "hole");
  const target = (when: Micros | null): string => {
    const time = when ?? begin?.start ?? frame.start;
    const found = inside.some((it) => it.kind !== "hole" && it.start <= time && time < it.end);
    // A click beside what is recorded means where it begins.
    const to = Math.round(found || !begin ? time : inside.find((it) => it.kind !== "hole" && it.end > time)?.start ?? begin.start);
    const query = new URLSearchParams({ at: formatTime(to) });
    // A click into a day opens the quarter of an hour around it.
    if (when !== null && value && value.last - value.first > HOUR) {
      query.set("view", `${formatTime(to - 15 * MINUTE, 3)},${formatTime(to + 15 * MINUTE, 3)}`);
    }
    return routeTo(["edit", channel, quality], query);
  };
  const incomplete = value !== undefined && value !== null && value.totals.suspect + value.totals.partial > 0;
  const label = value ? `${quality}, ${frame.name}: ${roughDuration(there * SECOND)} recorded${incomplete ? ", some of it incomplete" : ""}` : `${quality}, ${frame.name}`;
  const percent = (time: Micros): number => ((time - frame.start) / length) * 100;
  return (
    <div class="day">
      <span class="day-name">{frame.name}</span>
      <a
        ref={ref}
        class="bar"
        href={target(null)}
        aria-label={label}
        onMouseMove={(event) => setHover(at(event))}
        onMouseLeave={() => setHover(null)}
        onClick={(event) => {
          // The keyboard's click has no place.
          if (event.detail === 0 || event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          location.hash = target(at(event));
        }}
      >
        {inside.map((it) => (
          <i class={it.kind} style={{ left: `${percent(it.start)}%`, width: `max(2px, ${percent(it.end) - percent(it.start)}%)` }} />
        ))}
        {hover !== null && (
          <b style={{ left: `${Math.min(95, Math.max(4, percent(hover)))}%` }} aria-hidden="true">
            {clockOf(hover, 0).slice(0, length < 2 * HOUR ? 8 : 5)}
          </b>
        )}
      </a>
      <span class="day-total">{error ? <span title={error}>?</span> : value ? roughDuration(there * SECOND) : ""}</span>
    </div>
  );
}

function Quality({ channel, quality }: { channel: string; quality: string }) {
  const [all, setAll] = useState(false);
  const { value: hours, error } = useLoad((signal) => json<string[]>(pathOf("files", channel, quality), signal), `${channel}/${quality}`, 60_000);
  const times = (hours ?? []).flatMap((it) => (/^\d{4}-\d\d-\d\dT\d\d$/.test(it) ? [parseTime(it) ?? []].flat() : []));
  const lastHour = times.length > 0 ? Math.max(...times) : null;
  const recent = lastHour !== null && nowMicros() - lastHour < 3 * HOUR;
  // What is longer than some hours is shown by days, wherever it ends exactly; that the first of them tells.
  const long = times.length > 8;
  const [barLast, setBarLast] = useState<Micros>();
  // Where the last segment of a short one ends; asked for again while it may move.
  const edge = useLoad(
    (signal) =>
      lastHour === null || long ? Promise.resolve(null) : coverage(channel, quality, { start: formatTime(lastHour), end: formatTime(lastHour + HOUR), resolution: 60 }, signal),
    `${channel}/${quality}/${lastHour}/${long}`,
    recent && !long ? 5000 : 0,
  );
  if (hours && times.length === 0) return null;
  const last = edge.value?.last ?? barLast;
  const frames = !edge.value && !edge.error && !long ? [] : framesOf(times, long ? undefined : edge.value?.first, last);
  const shown = all ? frames : frames.slice(0, DAYS);
  const clocks = shown[0] ? [0, 0.25, 0.5, 0.75, 1].map((it) => shown[0]!.start + it * (shown[0]!.end - shown[0]!.start)) : [];
  const live = last !== undefined && nowMicros() - last < LIVE;
  return (
    <section class="quality" aria-label={`${channel} ${quality}`}>
      <header>
        <h3>{quality}</h3>
        {live ? (
          <span class="badge live">live</span>
        ) : (
          last !== undefined && (
            <span class="faint" title={localHint(last)}>
              until {formatTime(last, 0).replace("T", " ")}
            </span>
          )
        )}
        <a class="button main" href={routeTo(["edit", channel, quality])}>
          Open in the editor
        </a>
      </header>
      {error && <Notice>{error}</Notice>}
      <div class="hours" aria-hidden="true">
        {clocks.map((it, number) => (
          <span style={{ left: `${number * 25}%` }}>{number === 4 && it % DAY === 0 ? "24:00" : clockOf(it, 0).slice(0, it % MINUTE === 0 ? 5 : 8)}</span>
        ))}
      </div>
      {shown.map((frame) => (
        <Bar key={frame.start} channel={channel} quality={quality} frame={frame} onLast={setBarLast} />
      ))}
      {frames.length > DAYS && !all && <Button label={`${frames.length - DAYS} more days`} onClick={() => setAll(true)} />}
    </section>
  );
}

function Channel({ channel }: { channel: string }) {
  const { value, error } = useLoad((signal) => json<string[]>(`/files/${encodeURIComponent(channel)}`, signal), channel);
  const qualities = qualitiesOf(value ?? []);
  return (
    <section class="card channel" aria-labelledby={`channel-${channel}`}>
      <h2 id={`channel-${channel}`}>{channel}</h2>
      {error && <Notice>{error}</Notice>}
      {qualities.map((quality) => (
        <Quality key={quality} channel={channel} quality={quality} />
      ))}
      {value && qualities.length === 0 && <p class="faint">Nothing is recorded of this channel.</p>}
    </section>
  );
}

export function Channels() {
  const { value, error, again } = useLoad((signal) => json<string[]>("/files", signal), "channels", 30_000);
  // Files lie beside the channels; their names have an extension.
  const channels = value?.filter((it) => !/\.\w{2,4}$/.test(it));
  return (
    <div class="page">
      <div class="head">
        <h1>Channels</h1>
        <ul class="legend" aria-label="Colours">
          {KINDS.map((kind) => (
            <li>
              <i class={kind} />
              {kind === "hole" ? "missing" : kind}
            </li>
          ))}
        </ul>
      </div>
      <p class="lead">Pick a moment in a day to open it in the editor. All times are UTC.</p>
      {error && (
        <Notice>
          {error} <Button label="Try again" onClick={again} />
        </Notice>
      )}
      {channels?.map((channel) => <Channel channel={channel} key={channel} />)}
      {channels?.length === 0 && (
        <Empty title="The archive is empty">
          <p>
            <code>moviola demo DIR</code> makes one to look at; recordings of <a href="#/live">live streams</a> land here too.
          </p>
        </Empty>
      )}
      {!value && !error && <p class="faint">Looking…</p>}
    </div>
  );
}
