// A server of the binary that MOVIOLA_BIN names.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";

const root = new URL("../../..", import.meta.url).pathname;
export const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
// What these tests are told the server would take for its own settings, and refuse.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MOVIOLA_")));

/** Makes a demo archive of a minute. */
export function makeDemo(binary, folder) {
  const { status } = spawnSync(binary, ["demo", "--minutes", "1", folder], { env, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${binary} makes no demo`);
}

/** Serves an archive on a port that is free; `stop` resolves once it has ended. */
export async function serve(binary, archive) {
  const server = spawn(binary, ["serve", "--archive", archive, "--listen", "127.0.0.1:0"], { env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((resolve) => server.on("exit", resolve));
  const base = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (text) => {
      said += text;
      const found = /listening on (\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
  return { base, stop: (signal) => (server.kill(signal), ended) };
}
