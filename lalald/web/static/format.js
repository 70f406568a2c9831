// Figures and times as people read them. Times are ISO 8601 in UTC, lengths in seconds, sizes in bytes, prices in minutes.

const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const precise = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** @param {number} number */
export const figure = (number) => whole.format(number);

/**
 * "1 job", "2,500 jobs".
 * @param {number} number @param {string} word @param {string} [plural]
 */
export function count(number, word, plural) {
  return `${whole.format(number)} ${number === 1 ? word : (plural ?? `${word}s`)}`;
}

/**
 * A price; small ones are not rounded to nothing.
 * @param {number | null | undefined} minutes
 */
export function minutes(minutes) {
  if (minutes === null || minutes === undefined) return "price unknown";
  return minutes > 0 && minutes < 0.1 ? "under 0.1 min" : `${one.format(minutes)} min`;
}

/** A price of several, some of which may be unknown. @param {number} known @param {number} unknown */
export function price(known, unknown) {
  if (!unknown) return minutes(known);
  const rest = count(unknown, "file of unknown length", "files of unknown length");
  return known ? `${minutes(known)} and ${rest}` : rest;
}

/** A position or length as on a player: 3:05, 1:02:03. @param {number | null | undefined} seconds */
export function length(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const all = Math.max(0, Math.floor(seconds));
  const [hours, rest] = [Math.floor(all / 3600), all % 3600];
  const tail = String(rest % 60).padStart(2, "0");
  const middle = Math.floor(rest / 60);
  return hours ? `${hours}:${String(middle).padStart(2, "0")}:${tail}` : `${middle}:${tail}`;
}

/** A span in words: "20 s", "3 min", "2 h 5 min", "3 days". @param {number} seconds */
export function span(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) {
    const [hours, rest] = [Math.floor(seconds / 3600), Math.round((seconds % 3600) / 60)];
    return rest ? `${hours} h ${rest} min` : `${hours} h`;
  }
  return count(Math.round(seconds / 86400), "day");
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** power;
  return `${(scaled < 10 && power ? one : whole).format(scaled)} ${units[power]}`;
}

/** @param {number} bytes per second */
export const rate = (bytes) => `${size(bytes)}/s`;

/** "just now", "2 min ago". @param {string | null | undefined} iso @param {number} [now] */
export function ago(iso, now = Date.now()) {
  if (!iso) return "";
  const seconds = (now - Date.parse(iso)) / 1000;
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

/** "in 2 h", or "now". @param {string} iso @param {number} [now] */
export function until(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  return seconds <= 0 ? "now" : `in ${span(seconds)}`;
}

/** The hour today, else the day and the hour. @param {string | null | undefined} iso @param {number} [now] */
export function moment(iso, now = Date.now()) {
  if (!iso) return "";
  const at = new Date(iso);
  const today = new Date(now);
  if (at.toDateString() === today.toDateString()) return clock.format(at);
  return `${(at.getFullYear() === today.getFullYear() ? day : dayOfYear).format(at)}, ${clock.format(at)}`;
}

/** With seconds, for titles. @param {string | null | undefined} iso */
export const exactly = (iso) => (iso ? precise.format(new Date(iso)) : "");

/** "Nov 2026" of "2026-11". @param {string} month */
export function monthName(month) {
  return new Intl.DateTimeFormat("en", { month: "short", year: "numeric" }).format(new Date(`${month}-15T12:00:00`));
}

/** The last part of a path. @param {string} path */
export const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

/** The folder of a path within an inbox, with its slash; empty at the top. @param {string} path */
export const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

/**
 * A name in which what cannot be seen is shown: control characters and those that reverse the direction of text.
 * @param {unknown} text
 */
export function visible(text) {
  return String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]|\p{Surrogate}/gu, "\ufffd");
}
