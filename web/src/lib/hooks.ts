import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isAbort, textOf } from "./api.ts";
import { parseRoute, type Route } from "./route.ts";

/** The route, and a key that changes whenever somebody goes elsewhere, also to another edit of the same channel. */
export function useRoute(): Route & { key: string } {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return { ...parseRoute(hash), key: hash };
}

export interface Loaded<T> {
  value: T | undefined;
  error: string;
  /** The status of an answer that was none. */
  missing: boolean;
  again: () => void;
}

/** Loads something, again whenever `key` changes and, where `every` is more than 0, after so many milliseconds. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, key: string, every = 0): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error: string; missing: boolean }>({ error: "", missing: false });
  const [turn, setTurn] = useState(0);
  const last = useRef(key);
  // Not after the next paint: one answer leads to the next question, and each would wait for a picture of its own.
  useLayoutEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // What belongs to another key is not shown under this one.
    if (last.current !== key) setState({ error: "", missing: false });
    last.current = key;
    const next = (): void => {
      if (every > 0 && !abort.signal.aborted) timer = setTimeout(() => (document.hidden ? next() : void run()), every);
    };
    const run = async (): Promise<void> => {
      try {
        const value = await load(abort.signal);
        if (!abort.signal.aborted) setState({ value, error: "", missing: false });
      } catch (error) {
        if (abort.signal.aborted || isAbort(error)) return;
        const missing = typeof error === "object" && error !== null && "status" in error && error.status === 404;
        setState((before) => ({ ...before, error: textOf(error), missing }));
      }
      next();
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, every, turn]);
  return { value: state.value, error: state.error, missing: state.missing, again: () => setTurn((it) => it + 1) };
}

/** The size of an element in pixels of CSS, as it changes. */
export function useSize<E extends Element>(): [preact.RefObject<E>, { width: number; height: number }] {
  const ref = useRef<E>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const box = element.getBoundingClientRect();
      setSize({ width: box.width, height: box.height });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}
