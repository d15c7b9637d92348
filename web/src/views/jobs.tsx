import { type Job, json, send, textOf } from "../lib/api.ts";
import { useState } from "preact/hooks";
import { useLoad } from "../lib/hooks.ts";
import { formatTime, parseTime, roughDuration } from "../lib/time.ts";
import { Button, Empty, Notice } from "../ui/parts.tsx";

const ENDED = new Set(["done", "failed", "cancelled"]);

function Row({ job, again }: { job: Job; again: () => void }) {
  const [error, setError] = useState("");
  const cancel = (): void => {
    send("DELETE", `/jobs/${encodeURIComponent(job.id)}`).then(again, (reason: unknown) => setError(textOf(reason)));
  };
  const [started, ended] = [job.started ? parseTime(job.started) : null, job.ended ? parseTime(job.ended) : null];
  const percent = Math.round(job.progress * 100);
  const result = job.result as { made?: string[]; kept?: string[] } | null;
  // Those that were there before are the same ones.
  const files = [...(result?.made ?? []), ...(result?.kept ?? [])];
  return (
    <li class="card job">
      <div class="row">
        <h2>{job.kind}</h2>
        <span class={`badge ${job.state}`}>{job.state}</span>
        <span class="spring" />
        <span class="faint">
          {formatTime(parseTime(job.created) ?? 0, 0).replace("T", " ")}
          {started !== null && ended !== null ? ` · took ${roughDuration(ended - started)}` : ""}
        </span>
        {!ENDED.has(job.state) && <Button label="Cancel" onClick={cancel} />}
      </div>
      {!ENDED.has(job.state) && (
        <div class="progress">
          <progress max={100} value={percent} aria-label={`Progress of ${job.kind}`} />
          <span>{percent} %</span>
        </div>
      )}
      {job.failure && <Notice>{job.failure.detail}</Notice>}
      {error && <Notice>{error}</Notice>}
      {job.state === "done" && job.kind === "generate-videos" && files.length === 0 && <p class="hint">Nothing is recorded there; no file was made.</p>}
      {files.length > 0 && (
        <ul class="files">
          {files.map((name) => (
            <li>
              <a href={`/segments/${encodeURIComponent(name)}`} download={name}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      )}
      <details>
        <summary>What was asked for</summary>
        <pre>{JSON.stringify(job.parameters, null, 2)}</pre>
      </details>
    </li>
  );
}

export function Jobs() {
  const { value, error, again } = useLoad((signal) => json<Job[]>("/jobs", signal), "jobs", 2000);
  return (
    <div class="page">
      <h1>Jobs</h1>
      <p class="lead">Work that outlives a request, one at a time, in the order it came.</p>
      {error && <Notice>{error}</Notice>}
      {value?.length === 0 && (
        <Empty title="Nothing to do">
          <p>
            <code>POST /generate_videos</code> and other long work is listed here while it waits, runs, and a while after it ended.
          </p>
        </Empty>
      )}
      <ul class="plain">{value?.map((job) => <Row key={job.id} job={job} again={again} />)}</ul>
    </div>
  );
}
