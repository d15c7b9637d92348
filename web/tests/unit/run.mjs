// Runs the unit tests: each is bundled, because Node.js reads no TypeScript, and given to Node's own test runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const folder = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const out = mkdtempSync(join(tmpdir(), "moviola-unit-"));
try {
  const tests = readdirSync(folder).filter((it) => it.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((it) => join(folder, it)),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
    logLevel: "warning",
  });
  const run = spawnSync(process.execPath, ["--test", ...tests.map((it) => join(out, it.replace(/\.ts$/, ".mjs")))], { stdio: "inherit" });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
