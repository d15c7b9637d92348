import { useEffect, useRef, useState } from "preact/hooks";
import { ask, textOf } from "../../lib/api.ts";
import { cutPath, type Edit, settled } from "../../lib/edit.ts";
import { SECOND } from "../../lib/time.ts";
import { Dialog, Notice } from "../../ui/parts.tsx";

/** Seconds seen on either side of a transition. */
const AROUND = 2;

/** The cut as a browser plays it: MP4, of the same frames. */
export const playable = (edit: Edit): Edit =>
  settled({ ...edit, container: edit.container === "webm" ? "webm" : "mp4", type: edit.type === "rough" ? "smart" : edit.type });

/** The end of a range and the start of the next, with what is between them. */
export function aroundJoin(edit: Edit, number: number): Edit {
  const [before, after, join] = [edit.ranges[number], edit.ranges[number + 1], edit.joins[number] ?? null];
  if (!before || !after) return edit;
  const reach = Math.round(((join?.seconds ?? 0) + AROUND) * SECOND);
  const ranges = [
    { ...before, start: Math.max(before.start, before.end - reach) },
    { ...after, end: Math.min(after.end, after.start + reach) },
  ];
  return settled({ ...edit, ranges, joins: [join], type: "smart", container: "mp4" });
}

export function Preview({ channel, quality, edit, title, hint, onClose }: { channel: string; quality: string; edit: Edit; title: string; hint: string; onClose: () => void }) {
  const path = cutPath(channel, quality, playable(edit));
  const [error, setError] = useState("");
  const [waiting, setWaiting] = useState(true);
  const video = useRef<HTMLVideoElement>(null);
  // A video element keeps the reason of a failure to itself: the server is asked for it.
  const failed = async (): Promise<void> => {
    try {
      const abort = new AbortController();
      const answer = await ask(path, { signal: abort.signal });
      abort.abort();
      setError(`The browser cannot play this cut (${answer.headers.get("Content-Type") ?? "unknown"}).`);
    } catch (reason) {
      setError(textOf(reason));
    }
    setWaiting(false);
  };
  useEffect(() => {
    const element = video.current;
    void element?.play().catch(() => undefined);
    return () => {
      element?.pause();
      element?.removeAttribute("src");
      element?.load();
    };
  }, []);
  return (
    <Dialog title={title} wide onClose={onClose}>
      <div class={`preview${waiting ? " waiting" : ""}`}>
        {error ? (
          <Notice>{error}</Notice>
        ) : (
          <video ref={video} src={path} controls playsInline onCanPlay={() => setWaiting(false)} onError={() => void failed()} aria-label={title} />
        )}
        {waiting && !error && <p class="faint">The edges are made…</p>}
      </div>
      <p class="hint">{hint}</p>
    </Dialog>
  );
}
