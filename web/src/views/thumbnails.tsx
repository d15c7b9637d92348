import { useEffect, useRef, useState } from "preact/hooks";
import { ask, json, pathOf, query as parameters, type Template, textOf } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { Latest } from "../lib/pace.ts";
import { routeTo } from "../lib/route.ts";
import { formatTime, type Micros, parseTime } from "../lib/time.ts";
import { Button, Empty, Icon, Notice } from "../ui/parts.tsx";

type Edges = [number, number, number, number];
const EDGES = ["left", "top", "right", "bottom"] as const;

/** A rectangle in numbers of pixels, and drawn over a picture. */
function EdgeFields({ legend, value, onChange }: { legend: string; value: Edges; onChange: (value: Edges) => void }) {
  return (
    <fieldset class="edges">
      <legend>{legend}</legend>
      {EDGES.map((edge, number) => (
        <label class="field">
          <span>{edge}</span>
          <input
            type="number"
            step="1"
            value={value[number]}
            onInput={(event) => onChange(value.map((it, at) => (at === number ? Math.round(Number(event.currentTarget.value)) : it)) as Edges)}
          />
        </label>
      ))}
    </fieldset>
  );
}

/** A picture on which a rectangle is drawn by dragging. */
function Croppable({ src, size, value, label, onChange }: { src: string; size: { width: number; height: number }; value: Edges; label: string; onChange: (value: Edges) => void }) {
  const from = useRef<{ x: number; y: number } | null>(null);
  const place = (event: PointerEvent): { x: number; y: number } => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const within = (value: number, most: number): number => Math.round(Math.min(1, Math.max(0, value)) * most);
    return { x: within((event.clientX - box.left) / box.width, size.width), y: within((event.clientY - box.top) / box.height, size.height) };
  };
  const [left, top, right, bottom] = value;
  return (
    <div
      class="croppable"
      style={{ aspectRatio: `${size.width} / ${size.height}` }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = place(event);
      }}
      onPointerMove={(event) => {
        const a = from.current;
        if (!a) return;
        const b = place(event);
        if (Math.abs(a.x - b.x) < 4 || Math.abs(a.y - b.y) < 4) return;
        onChange([Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)]);
      }}
      onPointerUp={() => (from.current = null)}
      onPointerCancel={() => (from.current = null)}
    >
      <img src={src} alt={label} draggable={false} />
      <i
        style={{
          left: `${(left / size.width) * 100}%`,
          top: `${(top / size.height) * 100}%`,
          width: `${((right - left) / size.width) * 100}%`,
          height: `${((bottom - top) / size.height) * 100}%`,
        }}
      />
    </div>
  );
}

const sizeOf = (src: string): Promise<{ width: number; height: number }> =>
  new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
    image.onerror = () => reject(new Error("The picture cannot be read."));
    image.src = src;
  });

export function Thumbnails({ query }: { query: URLSearchParams }) {
  const [channel, quality] = [query.get("channel"), query.get("quality")];
  const at = parseTime(query.get("at") ?? "");
  if (!channel || !quality || at === null) {
    return (
      <div class="page">
        <h1>Thumbnails</h1>
        <Empty title="Pick a frame first">
          <p>
            Open a <a href="#/">channel</a> in the editor, stop at the frame you want, and press Thumbnail.
          </p>
        </Empty>
      </div>
    );
  }
  return <Maker key={`${channel}/${quality}`} channel={channel} quality={quality} at={at} />;
}

function Maker({ channel, quality, at }: { channel: string; quality: string; at: Micros }) {
  const { value: templates, error } = useLoad((signal) => json<Template[]>("/templates", signal), "templates");
  const [name, setName] = useState("");
  const [upload, setUpload] = useState<{ file: File; size: { width: number; height: number } } | null>(null);
  const [frame, setFrame] = useState<{ width: number; height: number } | null>(null);
  const [crop, setCrop] = useState<Edges>([0, 0, 1280, 720]);
  const [location, setLocation] = useState<Edges>([0, 0, 1280, 720]);
  const [result, setResult] = useState("");
  const [problem, setProblem] = useState("");
  const last = useRef("");
  const latest = useRef<Latest<string>>();
  latest.current ??= new Latest<string>(
    (url) => {
      if (last.current) URL.revokeObjectURL(last.current);
      last.current = url;
      setResult(url);
      setProblem("");
    },
    (reason) => setProblem(textOf(reason)),
  );
  useEffect(() => () => (latest.current?.stop(), URL.revokeObjectURL(last.current)), []);
  const framePath = `${pathOf("frame", channel, quality)}.jpg?${parameters({ timestamp: formatTime(at) })}`;
  useEffect(() => {
    sizeOf(framePath).then(
      (size) => {
        setFrame(size);
        setCrop([0, 0, size.width, size.height]);
      },
      () => setProblem("There is no frame at this instant."),
    );
  }, [framePath]);
  const choose = (template: Template): void => {
    setUpload(null);
    setName(template.name);
    if (template.crop) setCrop(template.crop);
    if (template.location) setLocation(template.location);
  };
  const take = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    const url = URL.createObjectURL(file);
    try {
      const size = await sizeOf(url);
      setUpload({ file, size });
      setName("");
      setLocation([0, 0, size.width, size.height]);
    } catch (reason) {
      setProblem(textOf(reason));
    } finally {
      URL.revokeObjectURL(url);
    }
  };
  const path = `${pathOf("thumbnail", channel, quality)}.png?${parameters({
    timestamp: formatTime(at),
    template: name || undefined,
    crop: crop.join(","),
    location: location.join(","),
  })}`;
  useEffect(() => {
    if (!name && !upload) return;
    latest.current?.run(async (signal) => {
      const answer = await ask(path, upload ? { method: "POST", body: upload.file, headers: { "Content-Type": "image/png" }, signal } : { signal });
      return URL.createObjectURL(await answer.blob());
    }, 150);
  }, [path, upload]);
  return (
    <div class="page">
      <h1>Thumbnail</h1>
      <p class="lead">
        {channel} {quality}, the frame at {formatTime(at, 3).replace("T", " ")} UTC.{" "}
        <a href={routeTo(["edit", channel, quality], new URLSearchParams({ at: formatTime(at) }))}>Back to the editor</a>
      </p>
      <div class="split even">
        <section class="card">
          <h2>The frame</h2>
          {frame && <Croppable src={framePath} size={frame} value={crop} label="The frame; drag over it to pick a part" onChange={setCrop} />}
          <EdgeFields legend="Part of the frame" value={crop} onChange={setCrop} />
          {frame && <Button label="All of it" onClick={() => setCrop([0, 0, frame.width, frame.height])} />}
        </section>
        <section class="card">
          <h2>The template</h2>
          {error && <Notice>{error}</Notice>}
          <div class="row">
            {templates?.map((it) => (
              <button type="button" class="button plain" aria-pressed={name === it.name} title={it.description} onClick={() => choose(it)}>
                {it.name}
              </button>
            ))}
            <label class="button plain file">
              <Icon name="plus" />
              <span>{upload ? upload.file.name : "PNG of your own"}</span>
              <input type="file" accept="image/png,image/jpeg" onChange={(event) => void take(event.currentTarget.files?.[0])} />
            </label>
          </div>
          {templates?.length === 0 && !upload && (
            <p class="hint">
              The server has no folder of templates (<code>thumbnail.templates</code>). Pick a picture with a transparent part: the frame lies under it.
            </p>
          )}
          <EdgeFields legend="Place in the template" value={location} onChange={setLocation} />
          {problem && <Notice>{problem}</Notice>}
          {result ? (
            <>
              <img class="result" src={result} alt="The thumbnail" />
              <div class="row">
                <a class="button main" href={result} download={`${channel}_${formatTime(at, 0).replace(/:/g, "-")}.png`}>
                  <Icon name="download" />
                  <span>Download</span>
                </a>
              </div>
            </>
          ) : (
            <p class="faint">Pick a template to see the thumbnail.</p>
          )}
        </section>
      </div>
    </div>
  );
}
