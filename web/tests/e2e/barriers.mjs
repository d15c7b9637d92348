// What would keep somebody from using a page: axe-core's rules, on every page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { base, edit, iso, open } from "./help.mjs";

// The page's policy lets no other script in; what the test evaluates is not asked.
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Colours do not depend on the width, nor does the layout on colours: each is seen once.
for (const [colorScheme, viewport] of [["light", { width: 1440, height: 900 }], ["dark", { width: 360, height: 740 }]]) {
  test(`no serious barrier on any page, ${colorScheme}, ${viewport.width} pixels wide`, async () => {
    const { page, close } = await open("", { colorScheme, viewport });
    for (const [hash, ready] of [
      ["#/", ".bar"],
      [edit("720p", `range=${iso(1)},${iso(5)}`, `range=${iso(13)},${iso(24)}`), ".notice"],
      [edit("360p", `range=${iso(1)},${iso(5)}`), ".facts"],
      ["#/live", "h1"],
      ["#/recordings", "h1"],
      [`#/thumbnails?channel=demo&quality=360p&at=${iso(1)}`, ".croppable"],
      ["#/jobs", "h1"],
      ["#/status", "td"],
    ]) {
      await page.goto(`${base}/${hash}`);
      await page.locator(ready).first().waitFor();
      await page.evaluate(axeSource);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }));
      const serious = violations.filter((it) => ["serious", "critical"].includes(it.impact));
      assert.deepEqual(serious.map((it) => `${hash}: ${it.id}: ${it.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${hash} is ${wide} pixels wider than the window of ${viewport.width}`);
    }
    await close();
  });
}
