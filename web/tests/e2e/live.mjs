// A camera that sends while the page looks at it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { base, open, START } from "./help.mjs";

/** Sends the demo's first segments as a camera would: each when the one before it was seen. */
async function* camera() {
  const hour = new Date(START).toISOString().slice(0, 13);
  const names = (await (await fetch(`${base}/files/demo/360p/${hour}`)).json()).slice(0, 7);
  for (const [number, name] of names.entries()) {
    if (number > 0) await new Promise((resolve) => setTimeout(resolve, 1900));
    yield new Uint8Array(await (await fetch(`${base}/segments/demo/360p/${hour}/${name}`)).arrayBuffer());
  }
}

test("a live stream is watched, and recorded from before the button was pressed", async () => {
  const put = (path, body, headers) => fetch(`${base}/streams/${path}`, { method: "PUT", body, headers, duplex: "half" });
  const made = await put("camera", JSON.stringify({ source: { push: "http" }, keepalive: true }), { "Content-Type": "application/json" });
  assert.ok(made.ok, `${made.status} ${await made.text()}`);
  const sent = put("camera/media", camera(), { "Content-Type": "video/mp2t" }).catch(() => undefined);
  const { page, close } = await open("#/live");
  // The demo has a stream of its own.
  const card = page.getByLabel("camera", { exact: true });
  await card.locator(".badge.live").waitFor();
  await card.getByRole("button", { name: "Watch", exact: true }).click();
  await page.waitForFunction(() => (document.querySelector('.stream[aria-labelledby="stream-camera"] video')?.currentTime ?? 0) > 0.5);
  await card.getByLabel("From so many seconds ago").fill("3");
  await card.getByLabel("For seconds (empty: until stopped)").fill("2");
  await card.getByRole("button", { name: "Record" }).click();
  await card.locator("td .badge.done").waitFor();
  await page.goto(`${base}/#/recordings`);
  await page.getByRole("button", { name: /^Play/ }).click();
  await page.waitForFunction(() => (document.querySelector("dialog video")?.currentTime ?? 0) > 0.2);
  assert.ok((await page.evaluate(() => document.querySelector("dialog video").duration)) > 3.9, "two seconds, and the three before");
  await page.keyboard.press("Escape");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: /^Delete/ }).click();
  await page.getByText("No recordings yet").waitFor();
  await fetch(`${base}/streams/camera`, { method: "DELETE" });
  await sent;
  await close();
});
