import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  back: "M11 6 5 12l6 6M19 12H5.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V5h4M20 9V5h-4M4 15v4h4M20 15v4h-4",
  close: "M6 6l12 12M18 6 6 18",
  up: "m6 14 6-6 6 6",
  down: "m6 10 6 6 6-6",
  download: "M12 4v11m0 0-4.5-4.5M12 15l4.5-4.5M5 19h14",
  stepBack: "M14.5 7 9.5 12l5 5",
  stepForward: "M9.5 7l5 5-5 5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M18.7 5.300l-1.4 1.400M6.7 17.300l-1.4 1.4",
  moon: "M20 14.500A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.500z",
  help: "M9.3 9.200a2.8 2.8 0 1 1 4 2.600c-.9.5-1.3 1-1.3 2.200M12 17.200v.1",
  camera: "M4 8h3.500L9 6h6l1.5 2H20v11H4zM12 10.300a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  record: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12z",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12",
  eye: "M3 12s3.3-6 9-6 9 6 9 6-3.3 6-9 6-9-6-9-6zM12 9.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
};

export function Icon({ name, filled = false }: { name: keyof typeof ICONS; filled?: boolean }) {
  return (
    <svg class={filled ? "icon filled" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}

interface ButtonProps {
  label: string;
  icon?: keyof typeof ICONS;
  filled?: boolean;
  /** Only the icon is seen; the label is its name. */
  bare?: boolean;
  kind?: "plain" | "main" | "danger";
  keys?: string;
  disabled?: boolean;
  pressed?: boolean;
  onClick: () => void;
}

export function Button({ label, icon, filled, bare, kind = "plain", keys, disabled, pressed, onClick }: ButtonProps) {
  const title = keys ? `${label} (${keys})` : bare ? label : undefined;
  return (
    <button
      type="button"
      class={`button ${kind}${bare ? " bare" : ""}`}
      {...(bare ? { "aria-label": label } : {})}
      {...(title ? { title } : {})}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      disabled={disabled ?? false}
      onClick={onClick}
    >
      {icon && <Icon name={icon} filled={filled ?? false} />}
      {!bare && <span>{label}</span>}
    </button>
  );
}

export function Notice({ kind = "error", children }: { kind?: "error" | "warn" | "info"; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Copies a text, as it is when it is asked for, and says so. */
export function CopyButton({ label, title, text }: { label: string; title?: string; text: () => string }) {
  const [done, setDone] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      // Without a secure context there is no clipboard but the old one.
      const area = document.createElement("textarea");
      area.value = text();
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="button plain" {...(title ? { title } : {})} onClick={() => void copy()}>
      <span aria-live="polite">{done ? "Copied" : label}</span>
    </button>
  );
}

/** A dialog of the browser's, with its focus and its Escape. */
export function Dialog({ title, wide, onClose, children }: { title: string; wide?: boolean; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "wide" : ""}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={(event) => event.target === ref.current && ref.current?.close()}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <Button bare label="Close" icon="close" onClick={() => ref.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** What fails in one part of the page stays there. */
export class Fence extends Component<{ name: string; children: ComponentChildren }, { error: string }> {
  override state = { error: "" };
  static override getDerivedStateFromError(error: unknown): { error: string } {
    return { error: error instanceof Error ? error.message : String(error) };
  }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Notice>
        <p>
          {this.props.name} does not work: {this.state.error}
        </p>
        <Button label="Try again" onClick={() => this.setState({ error: "" })} />
      </Notice>
    );
  }
}
