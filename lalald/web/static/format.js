// Figures and times as people read them. Times are ISO 8601 in UTC, lengths in seconds, sizes in bytes, prices in minutes.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
/** @param {Intl.DateTimeFormatOptions} parts @param {string} [language] */
const dates = (parts, language) => new Intl.DateTimeFormat(language, parts);
const hour = dates({ hour: "2-digit", minute: "2-digit" });
const day = dates({ day: "numeric", month: "short" }, "en");
const dayOfYear = dates({ day: "numeric", month: "short", year: "numeric" }, "en");
export const dayName = dates({ weekday: "long", day: "numeric", month: "long" }, "en");
export const clock = dates({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const precise = dates({ dateStyle: "medium", timeStyle: "medium" }, "en");

/** What stages, holds and events are called; they come with the session. @type {Labels} */
export const labels = { stages: {}, holds: {}, events: {} };

/** @param {number} number */
export const figure = (number) => whole.format(number);

/** "1 job", "2,500 jobs". @param {number} number @param {string} word */
export const count = (number, word, plural = `${word}s`) => `${whole.format(number)} ${number === 1 ? word : plural}`;

/** Small prices are not rounded to nothing. @param {number | null | undefined} minutes */
export function minutes(minutes) {
  if (minutes === null || minutes === undefined) return "price unknown";
  return minutes > 0 && minutes < 0.1 ? "under 0.1 min" : `${one.format(minutes)} min`;
}

/** A sum, and how many jobs of unknown price it does not include. @param {number} known @param {number} unknown */
export function price(known, unknown) {
  if (!unknown) return minutes(known);
  const rest = count(unknown, "file of unknown length", "files of unknown length");
  return known ? `${minutes(known)} and ${rest}` : rest;
}

/** As on a player: 3:05, 1:02:03. @param {number | null | undefined} seconds */
export function length(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const all = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ number) => String(number % 60).padStart(2, "0");
  return all < 3600 ? `${Math.floor(all / 60)}:${two(all)}` : `${Math.floor(all / 3600)}:${two(Math.floor(all / 60))}:${two(all)}`;
}

/** "20 s", "3 min", "2 h 5 min", "3 days". @param {number} seconds */
export function span(seconds) {
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  const all = Math.round(seconds / 60);
  if (all < 60) return `${all} min`;
  if (all >= 36 * 60) return count(Math.round(all / 1440), "day");
  return all % 60 ? `${Math.floor(all / 60)} h ${all % 60} min` : `${all / 60} h`;
}

/** @param {number} bytes */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** power;
  return `${(scaled < 10 && power ? one : whole).format(scaled)} ${["bytes", "kB", "MB", "GB", "TB"][power]}`;
}

/** What is known of a transfer: "3 MB/s · 20 s left". @param {number | null} rate @param {number | null} left seconds */
export const pace = (rate, left) => dots(rate && `${size(rate)}/s`, left !== null && `${span(left)} left`);

/** "just now", "2 min ago". @param {string | null | undefined} iso */
export function ago(iso) {
  const seconds = iso ? (Date.now() - Date.parse(iso)) / 1000 : 0;
  return !iso ? "" : seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

/** "in 2 h", or "now". @param {string} iso */
export function until(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  return seconds <= 0 ? "now" : `in ${span(seconds)}`;
}

/** The hour today, else the day and the hour. @param {string | number} time */
export function moment(time) {
  const [at, now] = [new Date(time), new Date()];
  if (at.toDateString() === now.toDateString()) return hour.format(at);
  return `${(at.getFullYear() === now.getFullYear() ? day : dayOfYear).format(at)}, ${hour.format(at)}`;
}

/** Those of some facts that there are, in one line. @param {(string | number | null | undefined | false)[]} facts */
export const dots = (...facts) => facts.filter(Boolean).join(" · ");

/** The last part of a path. @param {string} path */
export const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

/** The rest of it, with its slash; empty at the top. @param {string} path */
export const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

/** What cannot be seen is shown: control characters and those that reverse the direction of text. @param {unknown} text */
export const visible = (text) =>
  String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]|\p{Surrogate}/gu, "\ufffd");
