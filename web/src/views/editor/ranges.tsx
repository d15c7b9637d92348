import { useEffect, useId, useState } from "preact/hooks";
import { type Edit, type Join, longestJoin, moved, type Range, without } from "../../lib/edit.ts";
import { clockOf, formatDuration, formatTime, type Micros, parseTime } from "../../lib/time.ts";
import { Button, Icon } from "../../ui/parts.tsx";
import type { Edge } from "./timeline.tsx";
import { Thumb } from "./screen.tsx";

export interface Transition {
  name: string;
  description: string;
}

/** A time that is typed: what cannot be read is said and not taken. */
function TimeField({ label, value, onChange }: { label: string; value: Micros; onChange: (at: Micros) => void }) {
  const [text, setText] = useState<string | null>(null);
  const [wrong, setWrong] = useState(false);
  const id = useId();
  useEffect(() => {
    setText(null);
    setWrong(false);
  }, [value]);
  const take = (): void => {
    if (text === null) return;
    const at = parseTime(text, value);
    setWrong(at === null);
    if (at === null) return;
    setText(null);
    onChange(at);
  };
  return (
    <>
      <label class="field time">
        <span>{label}</span>
        <input
          type="text"
          inputMode="text"
          spellcheck={false}
          autocomplete="off"
          value={text ?? clockOf(value)}
          aria-invalid={wrong}
          {...(wrong ? { "aria-describedby": id } : {})}
          title={formatTime(value)}
          onInput={(event) => setText(event.currentTarget.value)}
          onBlur={take}
          onKeyDown={(event) => {
            if (event.key === "Enter") take();
            if (event.key === "Escape") {
              setText(null);
              setWrong(false);
            }
          }}
        />
      </label>
      {wrong && (
        <span id={id} class="wrong" role="alert">
          A time such as {clockOf(value)}
        </span>
      )}
    </>
  );
}

function JoinRow({ edit, number, transitions, onChange, onPreview }: {
  edit: Edit;
  number: number;
  transitions: Transition[];
  onChange: (join: Join) => void;
  onPreview: () => void;
}) {
  const join = edit.joins[number] ?? null;
  const most = longestJoin(edit, number);
  const copies = edit.type === "copy" || edit.type === "rough";
  return (
    <li class="join">
      <label class="field">
        <span class="hidden">Transition after range {number + 1}</span>
        <select
          value={join?.name ?? ""}
          disabled={copies}
          title={copies ? "A cut that encodes nothing has hard cuts alone" : transitions.find((it) => it.name === join?.name)?.description}
          onChange={(event) => {
            const name = event.currentTarget.value;
            onChange(name ? { name, seconds: join?.seconds ?? Math.min(1, Math.max(0.1, Math.floor(most * 5) / 10)) } : null);
          }}
        >
          <option value="">hard cut</option>
          {transitions.map((it) => (
            <option value={it.name}>{it.name}</option>
          ))}
        </select>
      </label>
      {join && (
        <>
          <label class="field seconds">
            <span class="hidden">Seconds of the transition</span>
            <input
              type="number"
              min="0.1"
              max={Math.floor(most * 10) / 10}
              step="0.1"
              value={join.seconds}
              onChange={(event) => {
                const seconds = Number(event.currentTarget.value);
                if (seconds > 0 && seconds <= 60) onChange({ ...join, seconds });
              }}
            />
            <span aria-hidden="true">s</span>
          </label>
          <Button bare icon="eye" label="Look at the transition" onClick={onPreview} />
        </>
      )}
    </li>
  );
}

interface Props {
  channel: string;
  quality: string;
  edit: Edit;
  selected: number;
  frame: Micros;
  transitions: Transition[];
  onEdit: (edit: Edit) => void;
  onSelect: (number: number) => void;
  onEdge: (number: number, edge: Edge, at: Micros) => void;
  onGo: (at: Micros) => void;
  onAdd: () => void;
  onPreviewJoin: (number: number) => void;
}

export function Ranges(props: Props) {
  const { channel, quality, edit, selected, frame, onEdit } = props;
  const rename = (number: number, name: string): void =>
    onEdit({ ...edit, ranges: edit.ranges.map((it, at) => (at === number ? { ...it, name } : it)) });
  const row = (range: Range, number: number) => (
    <li class={`range-card c${number % 6}${number === selected ? " selected" : ""}`} onPointerDown={() => props.onSelect(number)}>
      <div class="range-head">
        <i class="swatch" aria-hidden="true" />
        <input
          class="name"
          type="text"
          aria-label={`Name of range ${number + 1}`}
          placeholder={`Range ${number + 1}`}
          value={range.name}
          onFocus={() => props.onSelect(number)}
          onInput={(event) => rename(number, event.currentTarget.value)}
        />
        <span class="length">{formatDuration(range.end - range.start)}</span>
        {edit.ranges.length > 1 && (
          <>
            <Button bare icon="up" label={`Move range ${number + 1} up`} disabled={number === 0} onClick={() => onEdit(moved(edit, number, number - 1))} />
            <Button bare icon="down" label={`Move range ${number + 1} down`} disabled={number === edit.ranges.length - 1} onClick={() => onEdit(moved(edit, number, number + 1))} />
          </>
        )}
        <Button bare icon="trash" label={`Take range ${number + 1} out`} onClick={() => onEdit(without(edit, number))} />
      </div>
      <div class="range-ends">
        <button type="button" class="peek" title="To the first frame" aria-label={`To the first frame of range ${number + 1}`} onClick={() => props.onGo(range.start)}>
          <Thumb channel={channel} quality={quality} at={range.start} label="first" />
        </button>
        <div class="times">
          <TimeField label="In" value={range.start} onChange={(at) => props.onEdge(number, "start", at)} />
          <TimeField label="Out" value={range.end} onChange={(at) => props.onEdge(number, "end", at)} />
        </div>
        <button type="button" class="peek" title="To the last frame" aria-label={`To the last frame of range ${number + 1}`} onClick={() => props.onGo(range.end - Math.round(frame / 2))}>
          <Thumb channel={channel} quality={quality} at={Math.max(range.start, range.end - Math.round(frame / 2))} label="last" />
        </button>
      </div>
    </li>
  );
  return (
    <section class="card ranges" aria-labelledby="ranges">
      <header>
        <h2 id="ranges">Ranges</h2>
        <Button icon="plus" label="Add" keys="N" onClick={props.onAdd} />
      </header>
      {edit.ranges.length === 0 ? (
        <p class="hint">
          Drag over the timeline to mark a span, or press <kbd>I</kbd> and <kbd>O</kbd> at its first and last frame.
        </p>
      ) : (
        <ol>
          {edit.ranges.flatMap((range, number) => [
            row(range, number),
            number < edit.ranges.length - 1 ? (
              <JoinRow
                edit={edit}
                number={number}
                transitions={props.transitions}
                onChange={(join) => onEdit({ ...edit, joins: edit.joins.map((it, at) => (at === number ? join : it)) })}
                onPreview={() => props.onPreviewJoin(number)}
              />
            ) : null,
          ])}
        </ol>
      )}
      {edit.ranges.length > 0 && (
        <p class="hint">
          <Icon name="up" /> Drag the handles on the timeline, or give them the focus and use the arrow keys: a frame, with Shift a second.
        </p>
      )}
    </section>
  );
}
