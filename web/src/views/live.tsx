import { useEffect, useRef, useState } from "preact/hooks";
import { json, send, type Stream, textOf } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { formatTime, parseTime, roughDuration } from "../lib/time.ts";
import { Button, Empty, Icon, Notice } from "../ui/parts.tsx";
import { RecordingTable } from "./recordings.tsx";

const SNAPSHOT = 4000;
/** How long after a player gave up the next is tried, in milliseconds. */
const AGAIN = 1500;

/** Plays a live stream for as long as it is on the page. */
function Player({ url, name }: { url: string; name: string }) {
  const video = useRef<HTMLVideoElement>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    let destroy = (): void => undefined;
    let gone = false;
    void import("hls.js").then(({ default: Hls }) => {
      const element = video.current;
      if (gone || !element) return;
      if (!Hls.isSupported()) {
        element.src = url;
        return;
      }
      const play = (): void => {
        // A player that is behind plays a little faster until it is not.
        const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5 });
        let again = 0;
        destroy = () => {
          clearTimeout(again);
          hls.destroy();
        };
        hls.on(Hls.Events.FRAG_BUFFERED, () => setError(""));
        hls.on(Hls.Events.ERROR, (_, it) => {
          if (!it.fatal) return;
          // A source that is gone for longer, or comes back with other tracks, is begun anew.
          setError(`The player stopped (${it.details}) and begins again.`);
          again = window.setTimeout(() => (destroy(), play()), AGAIN);
        });
        hls.loadSource(url);
        hls.attachMedia(element);
      };
      play();
    });
    return () => {
      gone = true;
      destroy();
    };
  }, [url]);
  return (
    <>
      <video ref={video} controls autoPlay muted playsInline aria-label={`${name}, live`} />
      {error && <Notice>{error}</Notice>}
    </>
  );
}

/** The newest picture, again and again while it is in view. */
function Snapshot({ stream }: { stream: Stream }) {
  const [turn, setTurn] = useState(0);
  const [shown, setShown] = useState("");
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setTurn((it) => it + 1), SNAPSHOT);
    return () => clearInterval(timer);
  }, []);
  // Viewers of a stream have a token, and stills take it too.
  const token = /^\/live\/[^/]+\/([0-9a-f]{64})\//.exec(stream.viewer_url ?? "")?.[1];
  const path = `/live/${encodeURIComponent(stream.id)}/frame.jpg?width=640${token ? `&token=${token}` : ""}&turn=${turn}`;
  useEffect(() => {
    const image = new Image();
    image.onload = () => setShown(path);
    image.src = path;
    return () => (image.onload = null);
  }, [path]);
  return shown ? <img src={shown} alt={`${stream.id} a moment ago`} /> : <div class="nothing" />;
}

function Card({ stream, again }: { stream: Stream; again: () => void }) {
  const [error, setError] = useState("");
  const [watching, setWatching] = useState(false);
  const [lookback, setLookback] = useState(10);
  const [duration, setDuration] = useState("");
  const base = `/streams/${encodeURIComponent(stream.id)}`;
  const act = (work: Promise<unknown>): void => {
    setError("");
    work.then(again, (reason: unknown) => setError(textOf(reason)));
  };
  const live = stream.state === "live";
  const facts = stream.diagnostics ?? {};
  const picture = stream.tracks?.find((it) => it.kind === "video");
  const since = parseTime(stream.since);
  return (
    <section class="card stream" aria-labelledby={`stream-${stream.id}`}>
      <header>
        <h2 id={`stream-${stream.id}`}>{stream.id}</h2>
        <span class={`badge ${stream.state}`}>{stream.state}</span>
        {stream.cause && <span class="faint">{stream.detail ?? stream.cause}</span>}
        <span class="spring" />
        {stream.state === "stopped" ? (
          <Button label="Start" onClick={() => act(send("POST", `${base}/start`))} />
        ) : (
          <Button label="Stop" onClick={() => act(send("POST", `${base}/stop`))} />
        )}
        <Button bare icon="trash" label={`Take ${stream.id} away`} onClick={() => confirm(`Take the stream ${stream.id} away? What is recorded stays.`) && act(send("DELETE", base))} />
      </header>
      <div class="split">
        <div class="screen small">{watching && stream.viewer_url ? <Player url={stream.viewer_url} name={stream.id} /> : live ? <Snapshot stream={stream} /> : <div class="nothing">{stream.cause === "idle" && <p>It is followed while somebody watches.</p>}</div>}</div>
        <div>
          <dl class="pairs">
            {picture && (
              <div>
                <dt>Picture</dt>
                <dd>
                  {picture.codec} {picture.width}×{picture.height}
                </dd>
              </div>
            )}
            {live && facts.fps !== undefined && (
              <div>
                <dt>Frames</dt>
                <dd>{facts.fps.toFixed(1)} a second</dd>
              </div>
            )}
            {live && facts.latency !== undefined && facts.latency !== null && (
              <div>
                <dt>Latency</dt>
                <dd>{Math.max(0, facts.latency).toFixed(1)} s</dd>
              </div>
            )}
            {live && facts.ring_seconds !== undefined && (
              <div>
                <dt>Lookback</dt>
                <dd>up to {Math.round(facts.ring_seconds)} s</dd>
              </div>
            )}
            {since !== null && (
              <div>
                <dt>Since</dt>
                <dd title={formatTime(since)}>{roughDuration(Date.now() * 1000 - since)}</dd>
              </div>
            )}
            {facts.viewers !== undefined && (
              <div>
                <dt>Viewers</dt>
                <dd>{facts.viewers}</dd>
              </div>
            )}
          </dl>
          <div class="row">
            <Button icon={watching ? "pause" : "play"} filled label={watching ? "Stop watching" : "Watch"} disabled={!stream.viewer_url} onClick={() => setWatching(!watching)} />
          </div>
          <form
            class="row record"
            onSubmit={(event) => {
              event.preventDefault();
              act(send("POST", `${base}/recordings`, { lookback: lookback || undefined, duration: Number(duration) || undefined }));
            }}
          >
            <label class="field">
              <span>From so many seconds ago</span>
              <input type="number" min="0" max="3600" step="1" value={lookback} onInput={(event) => setLookback(Number(event.currentTarget.value))} />
            </label>
            <label class="field">
              <span>For seconds (empty: until stopped)</span>
              <input type="number" min="1" step="1" value={duration} onInput={(event) => setDuration(event.currentTarget.value)} />
            </label>
            <button type="submit" class="button main" disabled={!live}>
              <Icon name="record" filled />
              <span>Record</span>
            </button>
          </form>
          {error && <Notice>{error}</Notice>}
        </div>
      </div>
      {stream.recordings && stream.recordings.length > 0 && <RecordingTable recordings={stream.recordings} again={again} stream={false} />}
    </section>
  );
}

function NewStream({ again }: { again: () => void }) {
  const [id, setId] = useState("");
  const [source, setSource] = useState("");
  const [channel, setChannel] = useState("");
  const [error, setError] = useState("");
  const make = (event: Event): void => {
    event.preventDefault();
    setError("");
    const record = channel ? { channel, quality: "source" } : null;
    send("PUT", `/streams/${encodeURIComponent(id)}`, { source, keepalive: true, record }).then(
      () => {
        setId("");
        setSource("");
        again();
      },
      (reason: unknown) => setError(textOf(reason)),
    );
  };
  return (
    <details class="card">
      <summary>Add a stream</summary>
      <form class="row" onSubmit={make}>
        <label class="field">
          <span>Name</span>
          <input type="text" required value={id} onInput={(event) => setId(event.currentTarget.value)} placeholder="camera" />
        </label>
        <label class="field grow">
          <span>Source</span>
          <input type="text" required value={source} onInput={(event) => setSource(event.currentTarget.value)} placeholder="rtsp://camera.local/stream" />
        </label>
        <label class="field">
          <span>Keep it in channel (or empty)</span>
          <input type="text" value={channel} onInput={(event) => setChannel(event.currentTarget.value)} placeholder="camera" />
        </label>
        <button type="submit" class="button main">
          Add
        </button>
      </form>
      {error && <Notice>{error}</Notice>}
    </details>
  );
}

export function Live() {
  const { value, error, missing, again } = useLoad((signal) => json<Stream[]>("/streams", signal), "streams", 3000);
  // What happens is told at once; where it is not, the list is asked for again anyway.
  useEffect(() => {
    if (!value) return;
    const events = new EventSource("/streams/events");
    const heard = (): void => again();
    for (const kind of ["state", "epoch", "changed", "removed", "recorded", "recording"]) events.addEventListener(kind, heard);
    events.onerror = () => events.readyState === EventSource.CLOSED && events.close();
    return () => events.close();
  }, [value !== undefined]);
  return (
    <div class="page">
      <h1>Live streams</h1>
      <p class="lead">Watch what comes in, and record it from a while ago on.</p>
      {missing ? (
        <Empty title="This server takes no live streams" />
      ) : (
        <>
          {error && <Notice>{error}</Notice>}
          {value?.map((stream) => <Card key={stream.id} stream={stream} again={again} />)}
          {value?.length === 0 && (
            <Empty title="No streams yet">
              <p>Add a camera or another source below.</p>
            </Empty>
          )}
          {value && <NewStream again={again} />}
        </>
      )}
    </div>
  );
}
