// Figures and times as people read them. Times are ISO 8601 in UTC, lengths in seconds, sizes in bytes, prices in minutes.

const [whole, one] = [0, 1].map((digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
/** @type {Dates} */
export const dates = (parts) => new Intl.DateTimeFormat("en", { hourCycle: "h23", ...parts });
const hour = dates({ timeStyle: "short" });
const day = dates({ day: "numeric", month: "short" });
const dayOfYear = dates({ day: "numeric", month: "short", year: "numeric" });
export const dayName = dates({ weekday: "long", day: "numeric", month: "long" });
export const clock = dates({ timeStyle: "medium" });
export const precise = dates({ dateStyle: "medium", timeStyle: "medium" });

/** What stages, holds and events are called; they come with the session. @type {Labels} */
export const labels = { stages: {}, holds: {}, events: {} };

/** @type {Format} */
export const { figure, count, minutes, free, price, length, span, size, pace, ago, until, moment, dots, baseName, folderOf, visible } = {
	figure: (number) => whole.format(number),
	count: (number, word) => `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`,
	minutes: (price) => (price == null ? "price unknown" : `${one.format(Math.ceil(price * 10 - 0.001) / 10 + 0)} min`),
	free: (left) => `${one.format(Math.floor(left * 10) / 10)} min`,
	price(known, unknown) {
		const rest = `${count(unknown, "file")} of unknown length`;
		return !unknown ? minutes(known) : known ? `${minutes(known)} and ${rest}` : rest;
	},
	length(seconds) {
		if (!Number.isFinite(seconds ?? NaN)) return "–:––";
		const all = Math.max(0, Math.floor(seconds ?? 0));
		const two = (/** @type {number} */ number) => String(Math.floor(number) % 60).padStart(2, "0");
		return all < 3600 ? `${Math.floor(all / 60)}:${two(all)}` : `${Math.floor(all / 3600)}:${two(all / 60)}:${two(all)}`;
	},
	span(seconds) {
		if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
		const all = Math.round(seconds / 60);
		if (all < 60) return `${all} min`;
		if (all >= 36 * 60) return count(Math.round(all / 1440), "day");
		return all % 60 ? `${Math.floor(all / 60)} h ${all % 60} min` : `${all / 60} h`;
	},
	size(bytes) {
		const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
		const scaled = bytes / 1000 ** power;
		return `${(scaled < 10 && power ? one : whole).format(scaled)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
	},
	pace: (rate, left) => dots(rate && `${size(rate)}/s`, left !== null && `${span(left)} left`),
	ago(iso) {
		const seconds = (Date.now() - Date.parse(iso ?? "")) / 1000;
		return !iso ? "" : seconds < 5 ? "just now" : `${span(seconds)} ago`;
	},
	until: (iso) => (Date.parse(iso) <= Date.now() ? "now" : `in ${span((Date.parse(iso) - Date.now()) / 1000)}`),
	moment(time) {
		const [at, now] = [new Date(time), new Date()];
		if (at.toDateString() === now.toDateString()) return hour.format(at);
		return `${(at.getFullYear() === now.getFullYear() ? day : dayOfYear).format(at)}, ${hour.format(at)}`;
	},
	dots: (...facts) => facts.filter(Boolean).join(" · "),
	baseName: (path) => path.slice(path.lastIndexOf("/") + 1) || path,
	folderOf: (path) => path.slice(0, path.lastIndexOf("/") + 1),
	visible: (text) => String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]|\p{Surrogate}/gu, "\ufffd"),
};
