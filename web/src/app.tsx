import { useEffect, useState } from "preact/hooks";
import { useRoute } from "./lib/hooks.ts";
import { switchTheme, theme } from "./lib/theme.ts";
import { Button, Empty, Fence, Icon } from "./ui/parts.tsx";
import { Channels } from "./views/channels.tsx";
import { Editor } from "./views/editor/editor.tsx";
import { Jobs } from "./views/jobs.tsx";
import { KeySheet } from "./views/keys.tsx";
import { Live } from "./views/live.tsx";
import { Recordings } from "./views/recordings.tsx";
import { Status } from "./views/status.tsx";
import { Thumbnails } from "./views/thumbnails.tsx";

const PAGES: [string, string][] = [
  ["", "Channels"],
  ["live", "Live"],
  ["recordings", "Recordings"],
  ["thumbnails", "Thumbnails"],
  ["jobs", "Jobs"],
  ["status", "Status"],
];

function ThemeSwitch() {
  const [now, setNow] = useState(theme());
  useEffect(() => {
    const changed = (): void => setNow(document.documentElement.dataset["theme"] === "dark" ? "dark" : "light");
    addEventListener("themechange", changed);
    return () => removeEventListener("themechange", changed);
  }, []);
  const other = now === "dark" ? "light" : "dark";
  return <Button bare label={`Switch to ${other}`} icon={now === "dark" ? "sun" : "moon"} onClick={switchTheme} />;
}

export function App() {
  const { parts, query, key } = useRoute();
  const [sheet, setSheet] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const field = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key === "?" && !field) setSheet(true);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const page = parts[0] ?? "";
  const editing = page === "edit" && parts[1] && parts[2];
  const title = editing ? `${parts[1]} · ${parts[2]}` : PAGES.find(([path]) => path === page)?.[1];
  // Where the window is too narrow for all of them.
  useEffect(() => document.querySelector('.top nav a[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  useEffect(() => {
    document.title = title ? `${title} – Moviola` : "Moviola";
  }, [title]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="16" cy="16" r="12.5" class="rim" />
            <circle cx="16" cy="9.3" r="2.7" />
            <circle cx="10.2" cy="19.4" r="2.7" />
            <circle cx="21.8" cy="19.4" r="2.7" />
            <circle cx="16" cy="16" r="1.6" />
          </svg>
          Moviola
        </a>
        <nav aria-label="Pages">
          {PAGES.map(([path, name]) => (
            <a href={`#/${path}`} aria-current={page === path || (editing && path === "") ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <div class="tools">
          <ThemeSwitch />
          <button type="button" class="button plain bare" aria-label="Keys" title="Keys (?)" onClick={() => setSheet(true)}>
            <Icon name="help" />
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1} class={editing ? "editing" : ""}>
        <Fence name="This page" key={editing ? key : page}>
          {editing ? (
            <Editor channel={parts[1]!} quality={parts[2]!} query={query} />
          ) : page === "" ? (
            <Channels />
          ) : page === "live" ? (
            <Live />
          ) : page === "recordings" ? (
            <Recordings />
          ) : page === "thumbnails" ? (
            <Thumbnails query={query} />
          ) : page === "jobs" ? (
            <Jobs />
          ) : page === "status" ? (
            <Status />
          ) : (
            <Empty title="There is no such page">
              <p>
                <a href="#/">Back to the channels</a>
              </p>
            </Empty>
          )}
        </Fence>
      </main>
      {sheet && <KeySheet onClose={() => setSheet(false)} />}
    </>
  );
}
