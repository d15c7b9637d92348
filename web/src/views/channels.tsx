import { useEffect, useRef, useState } from "preact/hooks";
import { type Coverage, coverage, json, pathOf } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { routeTo } from "../lib/route.ts";
import { clockOf, DAY, dayOf, formatTime, HOUR, localHint, type Micros, MINUTE, parseTime, roughDuration, SECOND } from "../lib/time.ts";
import { Button, Empty, Notice } from "../ui/parts.tsx";

/** Days shown of a quality before one asks for more. */
const DAYS = 7;
/** A segment that ended so long ago is of a stream that goes on. */
const LIVE = 30 * SECOND;

const nowMicros = (): Micros => Date.now() * 1000;
const KINDS = ["full", "suspect", "partial", "hole"] as const;

function Bar({ channel, quality, day, name }: { channel: string; quality: string; day: Micros; name: string }) {
  const ref = useRef<HTMLAnchorElement>(null);
  const [near, setNear] = useState(false);
  // Days far down the page are not asked for before they are near.
  useEffect(() => {
    const observer = new IntersectionObserver((seen) => seen.some((it) => it.isIntersecting) && setNear(true), { rootMargin: "300px" });
    if (ref.current) observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  const today = nowMicros() < day + DAY;
  const load = (signal: AbortSignal): Promise<Coverage | null> =>
    near
      ? coverage(channel, quality, { start: formatTime(day), end: formatTime(day + DAY), resolution: 60 }, signal)
      : Promise.resolve(null);
  const { value, error } = useLoad(load, `${channel}/${quality}/${day}/${near}`, today && near ? 15_000 : 0);
  const [hover, setHover] = useState<Micros | null>(null);
  const at = (event: MouseEvent): Micros => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return day + ((event.clientX - box.left) / box.width) * DAY;
  };
  // What lies before the first segment and behind the last is not missing: it was never recorded.
  const inside = value?.spans.filter((it) => it.end > value.first && it.start < value.last) ?? [];
  const there = value ? value.totals.full + value.totals.suspect + value.totals.partial : 0;
  const begin = inside.find((it) => it.kind !== "hole");
  const target = (when: Micros | null): string => {
    const time = when ?? begin?.start ?? day;
    const cover = inside.find((it) => it.kind !== "hole" && it.start <= time && time < it.end);
    if (!cover && begin) return routeTo(["edit", channel, quality], new URLSearchParams({ at: formatTime(Math.max(begin.start, value!.first)) }));
    const query = new URLSearchParams({ at: formatTime(Math.round(Math.max(time, value?.first ?? time))) });
    // A click into the day opens the quarter of an hour around it.
    if (when !== null && value && value.last - value.first > HOUR) {
      query.set("view", `${formatTime(Math.round(time - 15 * MINUTE), 3)},${formatTime(Math.round(time + 15 * MINUTE), 3)}`);
    }
    return routeTo(["edit", channel, quality], query);
  };
  const label = value
    ? `${name}: ${roughDuration(there * SECOND)} recorded${value.totals.suspect + value.totals.partial > 0 ? ", some of it incomplete" : ""}`
    : name;
  return (
    <div class="day">
      <span class="day-name">{name}</span>
      <a
        ref={ref}
        class="bar"
        href={target(null)}
        aria-label={label}
        onMouseMove={(event) => setHover(at(event))}
        onMouseLeave={() => setHover(null)}
        onClick={(event) => {
          if (event.detail === 0 || event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          location.hash = target(at(event));
        }}
      >
        {inside.map((it) => (
          <i
            class={it.kind}
            style={{ left: `${((it.start - day) / DAY) * 100}%`, width: `max(2px, ${((it.end - it.start) / DAY) * 100}%)` }}
          />
        ))}
        {hover !== null && (
          <b style={{ left: `${Math.min(94, Math.max(3, ((hover - day) / DAY) * 100))}%` }} aria-hidden="true">
            {clockOf(hover, 0).slice(0, 5)}
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
  const days = [...new Set(times.map((it) => Math.floor(it / DAY) * DAY))].sort((a, b) => b - a);
  const lastHour = times.length > 0 ? Math.max(...times) : null;
  const recent = lastHour !== null && nowMicros() - lastHour < 3 * HOUR;
  // Where the last segment ends; asked for again while it may move.
  const edge = useLoad(
    (signal) =>
      lastHour === null ? Promise.resolve(null) : coverage(channel, quality, { start: formatTime(lastHour), end: formatTime(lastHour + HOUR), resolution: 60 }, signal),
    `${channel}/${quality}/${lastHour}`,
    recent ? 5000 : 0,
  );
  if (hours && times.length === 0) return null;
  const last = edge.value?.last;
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
        {[0, 6, 12, 18, 24].map((hour) => (
          <span style={{ left: `${(hour / 24) * 100}%` }}>{String(hour).padStart(2, "0")}</span>
        ))}
      </div>
      {(all ? days : days.slice(0, DAYS)).map((day) => (
        <Bar channel={channel} quality={quality} day={day} name={dayOf(day)} />
      ))}
      {days.length > DAYS && !all && <Button label={`${days.length - DAYS} more days`} onClick={() => setAll(true)} />}
    </section>
  );
}

function Channel({ channel }: { channel: string }) {
  const { value, error } = useLoad((signal) => json<string[]>(`/files/${encodeURIComponent(channel)}`, signal), channel);
  const qualities = (value ?? []).filter((it) => it !== "chat");
  return (
    <section class="card channel" aria-labelledby={`channel-${channel}`}>
      <h2 id={`channel-${channel}`}>{channel}</h2>
      {error && <Notice>{error}</Notice>}
      {qualities.map((quality) => (
        <Quality channel={channel} quality={quality} />
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
