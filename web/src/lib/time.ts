/** Microseconds since 1970 in UTC. They fit a double exactly until the year 2255. */
export type Micros = number;

export const MILLI = 1_000;
export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,6}))?)?)?)?Z?$/;
const CLOCK = /^(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6}))?)?$/;

const fraction = (digits: string | undefined): number => Number((digits ?? "").padEnd(6, "0"));

/** Reads `2025-06-01T12:00:00.5`; with `near`, also a clock time of its day, such as `12:00:00.5`. */
export function parseTime(text: string, near?: Micros): Micros | null {
  const iso = ISO.exec(text.trim());
  if (iso) {
    const [, year, month, day, hour = "0", minute = "0", second = "0"] = iso;
    const millis = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
    const back = new Date(millis);
    // Date turns the 31st of June into the 1st of July.
    const whole =
      back.getUTCMonth() + 1 === Number(month) && back.getUTCDate() === Number(day) && back.getUTCHours() === Number(hour) &&
      back.getUTCMinutes() === Number(minute) && back.getUTCSeconds() === Number(second);
    return whole ? millis * MILLI + fraction(iso[7]) : null;
  }
  const clock = near === undefined ? null : CLOCK.exec(text.trim());
  if (!clock || near === undefined) return null;
  const [hour, minute, second] = [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) return null;
  return Math.floor(near / DAY) * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction(clock[4]);
}

/** `2025-06-01T12:00:00.500000`, with as many digits of the fraction; without a number, as many as it takes. */
export function formatTime(at: Micros, digits?: number): string {
  const rounded = Math.round(at);
  const millis = Math.floor(rounded / MILLI);
  const text = new Date(millis).toISOString().slice(0, 23) + String(rounded - millis * MILLI).padStart(3, "0");
  if (digits === undefined) return text.replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : zeros.replace(/0+$/, "")));
  return digits === 0 ? text.slice(0, 19) : text.slice(0, 20 + digits);
}

export const dayOf = (at: Micros): string => formatTime(at, 0).slice(0, 10);
export const clockOf = (at: Micros, digits = 3): string => formatTime(at, digits).slice(11);

/** `4.2 s`, `1:02.5`, `3:00:07`. */
export function formatDuration(micros: number): string {
  const exact = Math.max(0, micros) / SECOND;
  // Rounded before it is divided: no 1:60.0.
  const total = exact < 9.995 ? exact : Math.round(exact * 10) / 10;
  if (total < 60) return `${total < 9.995 ? total.toFixed(2) : total.toFixed(1)} s`;
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const rest = hours > 0 ? String(Math.floor(seconds)).padStart(2, "0") : seconds.toFixed(1).padStart(4, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** For people: `2 h 5 min`, `40 s`. */
export function roughDuration(micros: number): string {
  const seconds = Math.round(micros / SECOND);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}` : `${(hours / 24).toFixed(1)} days`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** The same instant where the reader is; empty in UTC. */
export function localHint(at: Micros): string {
  const date = new Date(at / MILLI);
  if (date.getTimezoneOffset() === 0) return "";
  const text = date.toLocaleString(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return `${text} here`;
}
