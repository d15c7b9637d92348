import { useEffect, useRef, useState } from "preact/hooks";
import { gate, Problem, type Receipt, json, textOf } from "../../lib/api.ts";
import { CONTAINERS, type Container, cliCommand, curlCommand, cutPath, type CutType, type Edit, fileName, type Holes, settled, typesOf } from "../../lib/edit.ts";
import { Latest } from "../../lib/pace.ts";
import { clockOf, formatBytes, formatDuration, parseTime, SECOND } from "../../lib/time.ts";
import { Button, CopyButton, Icon, Notice } from "../../ui/parts.tsx";

const CONTAINER_NAMES: Record<Container, string> = { mp4: "MP4", ts: "MPEG-TS", mkv: "Matroska", webm: "WebM" };
const TYPE_NAMES: Record<CutType, [string, string]> = {
  smart: ["Smart", "exactly these frames; only the edges are encoded"],
  copy: ["Copy", "nothing encoded; from keyframe to keyframe"],
  mpegts: ["Full", "exactly these frames; everything encoded anew"],
  rough: ["Rough", "the segments as they lie on the disk"],
};
const HOLE_NAMES: Record<Holes, [string, string]> = {
  refuse: ["Refuse", "no cut with something missing"],
  skip: ["Skip", "the cut goes on behind the hole"],
  freeze: ["Freeze", "the last picture stays as long as the hole lasts"],
  black: ["Black", "a black picture as long as the hole lasts"],
};

/** An estimate, or why there is none. */
export type Estimate = { key: string; receipt: Receipt } | { key: string; problem: Problem | Error };

/** Asks what a cut would hold, a moment after it changed; what is late is not shown. */
export function useEstimate(channel: string, quality: string, edit: Edit): { estimate: Estimate | null; waiting: boolean; again: () => void } {
  const [estimate, setEstimate] = useState<Estimate | null>(null);
  const [turn, setTurn] = useState(0);
  const path = edit.ranges.length > 0 && edit.type !== "rough" ? cutPath(channel, quality, edit, [["receipt", "true"]]) : "";
  const latest = useRef<Latest<Estimate>>();
  latest.current ??= new Latest<Estimate>(setEstimate, () => undefined);
  useEffect(() => {
    if (!path) {
      latest.current?.stop();
      setEstimate(null);
      return;
    }
    latest.current?.run(async (signal): Promise<Estimate> => {
      await gate.pass(signal);
      try {
        return { key: path, receipt: await json<Receipt>(path, signal) };
      } catch (error) {
        if (signal.aborted) throw error;
        return { key: path, problem: error instanceof Error ? error : new Error(String(error)) };
      }
    }, 110);
  }, [path, turn]);
  useEffect(() => () => latest.current?.stop(), []);
  const waiting = path !== "" && estimate?.key !== path;
  return { estimate: path ? estimate : null, waiting, again: () => setTurn((it) => it + 1) };
}

function Facts({ receipt, edit, waiting, onEdit }: { receipt: Receipt; edit: Edit; waiting: boolean; onEdit: (edit: Edit) => void }) {
  const share = receipt.frames > 0 ? receipt.encoded_frames / receipt.frames : 0;
  const bytes = receipt.bytes ?? receipt.estimated_bytes;
  const reach = (key: "reach_before" | "reach_after"): number => Math.max(0, ...receipt.ranges.map((it) => it[key]));
  const holes = receipt.ranges.flatMap((it) => it.holes);
  return (
    <div class={`facts${waiting ? " waiting" : ""}`} aria-busy={waiting} data-frames={receipt.frames}>
      <dl>
        <div>
          <dt>Duration</dt>
          <dd>{formatDuration(receipt.duration * SECOND)}</dd>
        </div>
        <div>
          <dt>Frames</dt>
          <dd>{receipt.frames.toLocaleString("en")}</dd>
        </div>
        <div>
          <dt>Encoded</dt>
          <dd>{receipt.encoded_frames.toLocaleString("en")}</dd>
        </div>
        <div>
          <dt>Size</dt>
          <dd data-bytes={receipt.bytes ?? ""}>{bytes === undefined ? "–" : `${receipt.bytes === undefined ? "≈ " : ""}${formatBytes(bytes)}`}</dd>
        </div>
      </dl>
      <div class="share" role="img" aria-label={`${Math.round((1 - share) * 100)} % of the frames are the source's, bit for bit`}>
        <i style={{ width: `${Math.max(share > 0 ? 1 : 0, share * 100)}%` }} />
      </div>
      <p class="hint">
        {share === 0
          ? "Every frame is the source's, bit for bit."
          : share < 1
            ? `${Math.round((1 - share) * 1000) / 10} % of the frames are the source's, bit for bit.`
            : "Every frame is encoded anew."}
        {edit.type === "copy" && ` The cut begins ${formatDuration(reach("reach_before") * SECOND)} earlier and ends ${formatDuration(reach("reach_after") * SECOND)} later, at keyframes.`}
        {holes.length > 0 && ` ${holes.length === 1 ? "One hole is" : `${holes.length} holes are`} inside.`}
      </p>
      {receipt.full_encode && edit.type === "smart" && edit.container !== "ts" && edit.container !== "webm" && (
        <p class="hint">
          <button type="button" class="inline" onClick={() => onEdit({ ...edit, container: "ts" })}>
            Switch to MPEG-TS
          </button>
          , where only edges, transitions and fillings are.
        </p>
      )}
    </div>
  );
}

const clockOfText = (text: string): string => clockOf(parseTime(text) ?? 0);

interface Props {
  channel: string;
  quality: string;
  qualities: string[];
  edit: Edit;
  estimate: Estimate | null;
  waiting: boolean;
  onEdit: (edit: Edit) => void;
  onQuality: (quality: string) => void;
  onPreview: () => void;
  onDownloaded: () => void;
  onAgain: () => void;
  /** The address of this edit. */
  link: () => string;
}

export function Output({ channel, quality, qualities, edit, estimate, waiting, onEdit, onQuality, onPreview, onDownloaded, onAgain, link }: Props) {
  const set = (values: Partial<Edit>): void => onEdit(settled({ ...edit, ...values }));
  const problem = estimate && "problem" in estimate ? estimate.problem : null;
  const holes = problem instanceof Problem ? problem.holes : [];
  const path = cutPath(channel, quality, edit);
  const ready = edit.ranges.length > 0 && !problem;
  const fillable = edit.type === "smart" || edit.type === "mpegts";
  return (
    <section class="card output" aria-labelledby="output">
      <header>
        <h2 id="output">The clip</h2>
      </header>
      <div class="choices">
        <label class="field">
          <span>Quality</span>
          <select value={quality} onChange={(event) => onQuality(event.currentTarget.value)}>
            {qualities.map((it) => (
              <option value={it}>{it}</option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Container</span>
          <select value={edit.container} onChange={(event) => set({ container: event.currentTarget.value as Container })}>
            {CONTAINERS.map((it) => (
              <option value={it}>{CONTAINER_NAMES[it]}</option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Type</span>
          <select value={edit.type} title={TYPE_NAMES[edit.type][1]} onChange={(event) => set({ type: event.currentTarget.value as CutType })}>
            {typesOf(edit.container).map((it) => (
              <option value={it}>{TYPE_NAMES[it][0]}</option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Holes</span>
          <select value={edit.holes} title={HOLE_NAMES[edit.holes][1]} onChange={(event) => set({ holes: event.currentTarget.value as Holes })}>
            {(["refuse", "skip", "freeze", "black"] as const)
              .filter((it) => fillable || it === "refuse" || it === "skip")
              .map((it) => (
                <option value={it}>{HOLE_NAMES[it][0]}</option>
              ))}
          </select>
        </label>
      </div>
      <p class="hint">
        {TYPE_NAMES[edit.type][0]}: {TYPE_NAMES[edit.type][1]}. Holes: {HOLE_NAMES[edit.holes][1]}.
      </p>
      <div class="estimate" aria-live="polite">
        {edit.ranges.length === 0 && <p class="faint">Mark a span to see what the clip will hold.</p>}
        {edit.ranges.length > 0 && edit.type === "rough" && <p class="faint">All segments that touch the ranges, byte for byte.</p>}
        {estimate && "receipt" in estimate && <Facts receipt={estimate.receipt} edit={edit} waiting={waiting} onEdit={onEdit} />}
        {edit.ranges.length > 0 && edit.type !== "rough" && !estimate && <p class="faint">Reckoning…</p>}
        {problem && (
          <Notice kind={holes.length > 0 ? "warn" : "error"}>
            <p>{textOf(problem)}</p>
            {holes.length > 0 && (
              <ul>
                {holes.slice(0, 5).map((it) => (
                  <li>
                    {it.start === it.end ? `${clockOfText(it.start)}: a segment is incomplete` : `${clockOfText(it.start)} to ${clockOfText(it.end)}`}
                  </li>
                ))}
                {holes.length > 5 && <li>and {holes.length - 5} more</li>}
              </ul>
            )}
            {!(problem instanceof Problem && problem.status < 500) && <Button label="Try again" onClick={onAgain} />}
            {holes.length > 0 && edit.holes === "refuse" && (
              <div class="row">
                <Button label="Skip the holes" onClick={() => set({ holes: "skip" })} />
                {fillable && <Button label="Freeze the picture" onClick={() => set({ holes: "freeze" })} />}
              </div>
            )}
          </Notice>
        )}
      </div>
      <div class="row actions">
        {ready ? (
          <a id="download" class="button main" href={path} download={fileName(channel, quality, edit)} onClick={onDownloaded} title="Download (D)">
            <Icon name="download" />
            <span>Download</span>
          </a>
        ) : (
          <Button kind="main" icon="download" label="Download" disabled onClick={() => undefined} />
        )}
        <Button icon="play" filled label="Preview" keys="Enter" disabled={!ready} onClick={onPreview} />
      </div>
      {ready && (
        <div class="copies" role="group" aria-labelledby="copies">
          <span id="copies" class="faint">
            Copy
          </span>
          <CopyButton label="Clip link" text={() => location.origin + path} />
          <CopyButton label="Edit link" text={link} />
          <CopyButton label="Command" title="For a shell on the server: with --archive DIR, where MOVIOLA_ARCHIVE does not say it" text={() => cliCommand(channel, quality, edit)} />
          <CopyButton label="curl" text={() => curlCommand(location.origin, channel, quality, edit)} />
        </div>
      )}
    </section>
  );
}
