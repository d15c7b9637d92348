/** Lets through at most so many in any second; the others wait, in order, and leave when they are aborted. */
export class Gate {
  #passed: number[] = [];
  #waiting: { go: () => void; signal: AbortSignal }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly perSecond: number,
    readonly now: () => number = () => performance.now(),
    readonly later: (run: () => void, millis: number) => ReturnType<typeof setTimeout> = (run, millis) => setTimeout(run, millis),
  ) {}

  /** Resolves when it is this one's turn; rejects when `signal` is aborted before that. */
  pass(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#waiting.push({ go: resolve, signal });
      this.#serve();
    });
  }

  #serve(): void {
    const now = this.now();
    this.#passed = this.#passed.filter((at) => now - at < 1000);
    this.#waiting = this.#waiting.filter((it) => !it.signal.aborted);
    while (this.#waiting.length > 0 && this.#passed.length < this.perSecond) {
      this.#passed.push(now);
      this.#waiting.shift()!.go();
    }
    const first = this.#passed[0];
    if (this.#waiting.length > 0 && first !== undefined && this.#timer === undefined) {
      this.#timer = this.later(() => {
        this.#timer = undefined;
        this.#serve();
      }, Math.max(1, 1000 - (now - first)));
    }
  }
}

/** Runs the newest of what it is given and forgets the others: what is late is neither shown nor waited for. */
export class Latest<T> {
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly show: (value: T) => void,
    readonly fail: (error: unknown) => void,
  ) {}

  /** Runs `work` after `millis` without another. What runs is aborted now. */
  run(work: (signal: AbortSignal) => Promise<T>, millis = 0): void {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    const begin = (): void => {
      work(abort.signal).then(
        (value) => {
          if (!abort.signal.aborted) this.show(value);
        },
        (error: unknown) => {
          if (!abort.signal.aborted) this.fail(error);
        },
      );
    };
    if (millis > 0) this.#timer = setTimeout(begin, millis);
    else begin();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }
}

/** Works on one thing at a time; of those asked for meanwhile only the newest is next. The last one is always reached. */
export class Chain<K, V> {
  #busy = false;
  #next: { key: K } | undefined;
  #abort = new AbortController();

  constructor(
    readonly work: (key: K, signal: AbortSignal) => Promise<V>,
    /** `newer` where something else is asked for by now. */
    readonly show: (key: K, value: V, newer: boolean) => void,
    readonly fail: (key: K, error: unknown, newer: boolean) => void,
  ) {}

  want(key: K): void {
    this.#next = { key };
    if (!this.#busy) void this.#run();
  }

  /** Forgets everything; what runs is aborted. */
  stop(): void {
    this.#next = undefined;
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    for (let next = this.#next; next; next = this.#next) {
      this.#next = undefined;
      const { signal } = this.#abort;
      try {
        const value = await this.work(next.key, signal);
        if (!signal.aborted) this.show(next.key, value, this.#next !== undefined);
      } catch (error) {
        if (!signal.aborted) this.fail(next.key, error, this.#next !== undefined);
      }
    }
    this.#busy = false;
  }
}
