import { useState } from "preact/hooks";
import { json, type Recording, send, textOf } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { formatBytes, formatDuration, formatTime, parseTime, SECOND } from "../lib/time.ts";
import { Button, Dialog, Empty, Icon, Notice } from "../ui/parts.tsx";

const pathOf = (it: Recording): string => `/streams/${encodeURIComponent(it.stream)}/recordings/${encodeURIComponent(it.id)}`;
const runs = (it: Recording): boolean => it.state === "recording" || it.state === "finishing";

/** Recordings as a table; also below the stream they are of. */
export function RecordingTable({ recordings, again, stream }: { recordings: Recording[]; again: () => void; stream: boolean }) {
  const [error, setError] = useState("");
  const [watched, setWatched] = useState<Recording | null>(null);
  const act = (method: string, path: string): void => {
    setError("");
    send(method, path).then(again, (reason: unknown) => setError(textOf(reason)));
  };
  return (
    <>
      {error && <Notice>{error}</Notice>}
      <div class="scroll recordings" role="region" aria-label="Recordings" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>Name</th>
              {stream && <th class="more">Stream</th>}
              <th>State</th>
              <th class="more">Began</th>
              <th class="number">Length</th>
              <th class="number more">Size</th>
              <th>
                <span class="hidden">What to do</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {recordings.map((it) => {
              const start = parseTime(it.start ?? "");
              const length = typeof it.length === "number" ? it.length * SECOND : null;
              return (
                <tr key={it.id}>
                  <td>{it.name}</td>
                  {stream && <td class="more">{it.stream}</td>}
                  <td>
                    <span class={`badge ${it.state}`}>{it.state}</span> {it.cause && <span class="faint">{it.detail ?? it.cause}</span>}
                  </td>
                  <td class="more">{start === null ? "–" : formatTime(start, 0).replace("T", " ")}</td>
                  <td class="number">{length === null ? "–" : formatDuration(length)}</td>
                  <td class="number more">{it.bytes === null ? "–" : formatBytes(it.bytes)}</td>
                  <td class="tools">
                    {it.state === "recording" && <Button label="Stop" onClick={() => act("POST", `${pathOf(it)}/stop`)} />}
                    {it.state === "done" && (
                      <>
                        <Button bare icon="play" filled label={`Play ${it.name}`} onClick={() => setWatched(it)} />
                        <a class="button plain bare" href={`${pathOf(it)}/file`} download={it.name} aria-label={`Download ${it.name}`} title="Download">
                          <Icon name="download" />
                        </a>
                      </>
                    )}
                    <Button bare icon="trash" label={`${runs(it) ? "Cancel" : "Delete"} ${it.name}`} onClick={() => (runs(it) || confirm(`Delete ${it.name}? It cannot be had back.`)) && act("DELETE", pathOf(it))} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {watched && (
        <Dialog title={watched.name} wide onClose={() => setWatched(null)}>
          <div class="preview">
            <video src={`${pathOf(watched)}/file`} controls autoPlay playsInline />
          </div>
        </Dialog>
      )}
    </>
  );
}

export function Recordings() {
  const { value, error, missing, again } = useLoad((signal) => json<Recording[]>("/recordings", signal), "recordings", 3000);
  return (
    <div class="page">
      <h1>Recordings</h1>
      <p class="lead">Files made of live streams, with what was seen before the button was pressed.</p>
      {missing ? (
        <Empty title="This server records no live streams" />
      ) : (
        <>
          {error && <Notice>{error}</Notice>}
          {value?.length === 0 && (
            <Empty title="No recordings yet">
              <p>
                Start one from a <a href="#/live">live stream</a>.
              </p>
            </Empty>
          )}
          {value && value.length > 0 && (
            <div class="card">
              <RecordingTable recordings={value} again={again} stream />
            </div>
          )}
        </>
      )}
    </div>
  );
}
