import { useState } from "preact/hooks";
import { ask } from "../lib/api.ts";
import { useLoad } from "../lib/hooks.ts";
import { readMetrics, type Sample } from "../lib/prometheus.ts";
import { formatBytes, formatTime, roughDuration, SECOND } from "../lib/time.ts";
import { Notice } from "../ui/parts.tsx";

const LANES = ["interactive", "batch", "background", "disk"];

function sum(samples: Sample[], name: string, labels: Record<string, string> = {}): number | undefined {
  const found = samples.filter((it) => it.name === name && Object.entries(labels).every(([key, value]) => it.labels[key] === value));
  return found.length === 0 ? undefined : found.reduce((total, it) => total + it.value, 0);
}

const number = (value: number | undefined): string => (value === undefined ? "–" : Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4));

/** A value in the unit its name ends in. */
function told(name: string, value: number): string {
  if (/_bytes(_|$)/.test(name)) return formatBytes(value);
  if (/start_time_seconds$/.test(name)) return `${formatTime(value * SECOND, 0).replace("T", " ")} UTC`;
  return number(value);
}

/** How full something is: a bar with its words. A `cache` is meant to be full. */
function Gauge({ label, value, most, unit = number, cache = false }: { label: string; value: number | undefined; most: number | undefined; unit?: (value: number) => string; cache?: boolean }) {
  const share = value !== undefined && most ? Math.min(1, value / most) : 0;
  return (
    <div class="gauge">
      <span>{label}</span>
      <span class="number">
        {value === undefined ? "–" : unit(value)}
        {most !== undefined && <span class="faint"> of {unit(most)}</span>}
      </span>
      {most !== undefined && (
        <div class="meter">
          <i class={share > 0.9 && !cache ? "full-up" : ""} style={{ width: `${share * 100}%` }} />
        </div>
      )}
    </div>
  );
}

export function Status() {
  const metrics = useLoad(async (signal) => readMetrics(await (await ask("/metrics", { signal })).text()), "metrics", 3000);
  const health = useLoad(async (signal) => (await fetch("/health", { signal })).status, "health", 3000);
  const [filter, setFilter] = useState("");
  const samples = metrics.value?.samples ?? [];
  const limit = (name: string): number | undefined => sum(samples, "moviola_limit", { name });
  const started = sum(samples, "moviola_start_time_seconds");
  const answers = sum(samples, "moviola_http_requests_total") ?? 0;
  const bad = samples.filter((it) => it.name === "moviola_http_requests_total" && it.labels["status"]?.startsWith("5")).reduce((all, it) => all + it.value, 0);
  const [hits, misses] = [sum(samples, "moviola_listing_reads_total", { from: "hit" }), sum(samples, "moviola_listing_reads_total", { from: "miss" })];
  const rows = samples.filter((it) => !/_bucket$/.test(it.name) && `${it.name} ${Object.values(it.labels).join(" ")}`.includes(filter.trim()));
  const used = (name: string): number | undefined => sum(samples, `moviola_${name}`);
  const [size, free] = [sum(samples, "moviola_archive_disk_bytes", { kind: "size" }), sum(samples, "moviola_archive_disk_bytes", { kind: "free" })];
  return (
    <div class="page">
      <div class="head">
        <h1>Status</h1>
        <span class={`badge ${health.value === 200 ? "live" : "failed"}`}>
          {health.value === 200 ? "takes requests" : health.value === undefined && !health.error ? "asking" : "takes no requests"}
        </span>
      </div>
      {metrics.error && <Notice>{metrics.error}</Notice>}
      <div class="grid">
        <section class="card">
          <h2>Server</h2>
          <Gauge label="Up" value={started === undefined ? undefined : Date.now() / 1000 - started} most={undefined} unit={(it) => roughDuration(it * SECOND)} />
          <Gauge label="Answers" value={answers} most={undefined} />
          <Gauge label="Of them failures" value={bad} most={undefined} />
          <Gauge label="Sent" value={sum(samples, "moviola_http_body_bytes_total")} most={undefined} unit={formatBytes} />
          <Gauge label="Warm decoders" value={sum(samples, "moviola_frame_warm_decoders")} most={limit("frame_warm_decoders")} cache />
        </section>
        {LANES.map((lane) => (
          <section class="card">
            <h2>{lane[0]?.toUpperCase() + lane.slice(1)} lane</h2>
            <Gauge label="Running" value={sum(samples, "moviola_pool_running", { lane })} most={limit(`pool_${lane}_seats`) ?? limit(`${lane}_seats`)} />
            <Gauge label="Waiting" value={sum(samples, "moviola_pool_queued", { lane })} most={limit(`pool_${lane}_queue`) ?? limit(`${lane}_queue`)} />
            <Gauge label="Done" value={sum(samples, "moviola_pool_tasks_total", { lane, outcome: "done" })} most={undefined} />
            <Gauge label="Refused" value={sum(samples, "moviola_pool_tasks_total", { lane, outcome: "refused" }) ?? 0} most={undefined} />
          </section>
        ))}
        <section class="card">
          <h2>Listings</h2>
          <Gauge label="Names held" value={sum(samples, "moviola_listing_segments")} most={limit("listing_segments")} cache />
          <Gauge label="Hours held" value={sum(samples, "moviola_listing_hours")} most={undefined} />
          <Gauge label="From memory" value={hits !== undefined && misses !== undefined && hits + misses > 0 ? hits / (hits + misses) : undefined} most={undefined} unit={(it) => `${(it * 100).toFixed(1)} %`} />
        </section>
        <section class="card">
          <h2>Caches</h2>
          <Gauge label="Decoded pictures" value={used("frame_bytes_decoded")} most={limit("frame_bytes_decoded")} unit={formatBytes} cache />
          <Gauge label="Made pictures" value={used("frame_bytes_made")} most={limit("frame_bytes_made")} unit={formatBytes} cache />
          <Gauge label="Derived, in memory" value={used("sidecar_bytes_memory")} most={limit("sidecar_memory_bytes")} unit={formatBytes} cache />
          <Gauge label="Edges of cuts" value={used("cut_edge_bytes")} most={limit("cut_edge_bytes")} unit={formatBytes} cache />
        </section>
        <section class="card">
          <h2>Disk</h2>
          <Gauge label="Archive's file system" value={size !== undefined && free !== undefined ? size - free : undefined} most={size} unit={formatBytes} />
          <Gauge label="Derived, on the disk" value={used("sidecar_bytes_disk")} most={limit("sidecar_disk_bytes")} unit={formatBytes} cache />
        </section>
      </div>
      <section class="card">
        <div class="row">
          <h2>All metrics</h2>
          <span class="spring" />
          <label class="field">
            <span class="hidden">Filter</span>
            <input type="search" placeholder="Filter" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
          </label>
          <a class="button plain" href="/metrics">
            As text
          </a>
        </div>
        <div class="scroll tall" role="region" aria-label="All metrics" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th>Metric</th>
                <th>Labels</th>
                <th class="number">Value</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, 400).map((it) => (
                <tr>
                  <td title={metrics.value?.help.get(it.name) ?? ""}>{it.name}</td>
                  <td class="faint">
                    {Object.entries(it.labels)
                      .map(([key, value]) => `${key}=${value}`)
                      .join(" ")}
                  </td>
                  <td class="number">{told(it.name, it.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </div>
  );
}
