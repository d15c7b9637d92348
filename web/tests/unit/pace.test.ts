import assert from "node:assert/strict";
import { test } from "node:test";
import { Chain, Gate, Latest } from "../../src/lib/pace.ts";

/** A clock that only moves when it is told to. */
function clock() {
  let now = 0;
  const waiting: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    later: (run: () => void, millis: number) => {
      waiting.push({ at: now + millis, run });
      return 0 as unknown as ReturnType<typeof setTimeout>;
    },
    to: (time: number) => {
      now = time;
      for (const it of waiting.splice(0)) if (it.at <= now) it.run();
        else waiting.push(it);
    },
  };
}

const rest = () => new Promise((resolve) => setImmediate(resolve));

test("no second has more passes than the gate lets through, and who leaves the queue does not count", async () => {
  const time = clock();
  const gate = new Gate(3, time.now, time.later);
  const passed: string[] = [];
  const abort = new AbortController();
  const go = (name: string, signal = new AbortController().signal) => gate.pass(signal).then(() => passed.push(name), () => passed.push(`${name} left`));
  for (const name of ["a", "b", "c", "d"]) void go(name);
  void go("e", abort.signal);
  void go("f");
  await rest();
  assert.deepEqual(passed, ["a", "b", "c"]);
  abort.abort();
  await rest();
  time.to(999);
  await rest();
  assert.deepEqual(passed, ["a", "b", "c", "e left"]);
  time.to(1001);
  await rest();
  assert.deepEqual(passed, ["a", "b", "c", "e left", "d", "f"]);
});

test("a late answer is not shown once something newer was asked for", async () => {
  const shown: string[] = [];
  const latest = new Latest<string>((it) => shown.push(it), (error) => shown.push(`failed ${String(error)}`));
  const answers: ((text: string) => void)[] = [];
  const ask = () => new Promise<string>((resolve) => answers.push(resolve));
  latest.run(ask);
  latest.run(ask);
  answers[1]!("new");
  answers[0]!("old");
  await rest();
  assert.deepEqual(shown, ["new"]);
  latest.run(() => Promise.reject(new Error("no")));
  await rest();
  assert.deepEqual(shown, ["new", "failed Error: no"]);
});

test("a chain has one thing under way, skips what is overtaken, and ends with the last", async () => {
  const [begun, shown]: [number[], string[]] = [[], []];
  const ends: (() => void)[] = [];
  const chain = new Chain<number, string>(
    (key) => {
      begun.push(key);
      return new Promise((resolve, reject) => ends.push(() => (key === 5 ? reject(new Error("five")) : resolve(`picture ${key}`))));
    },
    (key, value, newer) => shown.push(`${key}: ${value}${newer ? ", overtaken" : ""}`),
    (key, _, newer) => shown.push(`${key} failed${newer ? ", overtaken" : ""}`),
  );
  for (const key of [1, 2, 3, 4, 5]) chain.want(key);
  assert.deepEqual(begun, [1]);
  ends.shift()!();
  await rest();
  assert.deepEqual(begun, [1, 5]);
  chain.want(6);
  ends.shift()!();
  await rest();
  ends.shift()!();
  await rest();
  assert.deepEqual(shown, ["1: picture 1, overtaken", "5 failed, overtaken", "6: picture 6"]);
});
