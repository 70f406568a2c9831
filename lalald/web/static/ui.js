// Pieces that several views show.

import { h } from "./dom.js";
import { baseName, count, figure, folderOf, labels, moment, precise, visible } from "./format.js";

/** 20 × 20, strokes in the color of the text. @type {Record<string, string>} */
const ICONS = {
	now: "M3 10h3l2-5 4 10 2-5h3",
	history: "M4 10a6 6 0 1 0 2-4.5M4 3.5V6h2.5M10 7v3.3l2.2 1.4",
	add: "M10 13V4M6.5 7.5 10 4l3.5 3.5M4 13v3h12v-3",
	inboxes: "M3.5 11.5 6 4.5h8l2.5 7v4h-13zM3.5 11.5H7l1 2h4l1-2h3.5",
	log: "M4 5h12M4 10h12M4 15h7",
	play: "M6.5 4.5v11l9-5.5z",
	pause: "M7 5v10M13 5v10",
	loop: "M5 8.5A3.5 3.5 0 0 1 8.5 6H15M13 3.5 15.5 6 13 8.5M15 11.5a3.5 3.5 0 0 1-3.5 2.5H5M7 11.5 4.5 14 7 16.5",
	download: "M10 4v9M6.5 9.5 10 13l3.5-3.5M4 16h12",
	close: "M5 5l10 10M15 5 5 15",
	warning: "M10 3.5 17 16H3zM10 8v4M10 14v.2",
};

/** Commands that the page has a button or a view for. @type {Record<string, string>} */
export const VERBS = {
	retry: "Retry", redo: "Process again", release: "Release", cancel: "Cancel",
	rescan: "Scan now", plan: "Price what waits", explain: "Explain", jobs: "History", history: "History", show: "Details", status: "Now",
};

const LEGS = ["upload", "check", "download", "archive"];

/** @type {Ui} */
export const { icon, button, link, heading, section, fileName, jobLink, journey, capitalized, pill, time, prose, sentence, says, empty, failure, loading, facts, table, filters, field, select, total } = {
	icon: (name) => h("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, h("path", { d: ICONS[name] })),
	button: (label, onclick, classes = "", props = {}) => h(`button.${classes}`, { key: classes || String(label), type: "button", onclick, ...props }, label),
	link: (view, ...label) => h("a", { href: `#/${view}` }, ...label),
	heading: (title, ...beside) => h("header.bar", h("h1", { tabindex: "-1" }, title), ...beside),
	section: (name, title, beside, ...children) => h(`section.${name}`, { key: name, "aria-label": title }, h("header.bar", h("h2", title), beside), ...children),
	fileName: (path) => h("span.file-name", { title: visible(path) }, h("span.hint", visible(folderOf(path))), h("bdi", visible(baseName(path)))),
	jobLink: (id, label) => link(`jobs/${id}`, label),
	journey({ stage, progress }) {
		const at = LEGS.indexOf({ split: "check", delete: "archive" }[stage] ?? stage);
		const percent = stage === "split" ? 0 : Math.round(progress ?? 0);
		const legs = LEGS.map((_, leg) => h("span", h("span", { style: { width: `${leg < at ? 100 : leg === at ? percent : 0}%` } })));
		return h("span.journey", { role: "img", "aria-label": `${labels.stages[stage] ?? stage}, ${percent} %` }, legs);
	},
	capitalized: (text) => text.charAt(0).toUpperCase() + text.slice(1),
	pill: (state) => h(`span.pill.${state}`, capitalized(state)),
	time: (iso) => iso && h("time", { datetime: iso, title: precise.format(new Date(iso)) }, moment(iso)),
	prose(text, release = VERBS.release) {
		const known = visible(text).replace(/(?:\b(r)un )?`lalald (\w+)([^`]*)`/gi, (all, run, verb, rest) => {
			const name = verb !== "release" ? VERBS[verb] : /^ ['/]/.test(rest) ? "Accept this folder" : release;
			return name ? `${{ R: "Press ", r: "press " }[/** @type {string} */ (run)] ?? ""}\0${name}\0` : all;
		});
		return known.split("`").map((piece, index) => (index % 2 ? h("code", piece) : piece.split("\0").map((part, at) => (at % 2 ? h("b", part) : part))));
	},
	sentence: (text, release) => prose(/^[a-z]+([ ,:]|$)/.test(text ?? "") ? capitalized(text ?? "") : text, release),
	says: (found) => found.says.map(({ tone, text }) => h(`p.${tone}`, prose(text))),
	empty: (title, ...children) => h("div.empty", { key: "empty" }, h("h2", title), ...children),
	failure: (error, again) => h("div.notice.bad", { role: "alert", key: "failure" }, h("p", error.message, " ", h("small", prose(error.hint))), again && button("Try again", again)),
	loading: () => h("p.hint", { key: "loading" }, "Loading …"),
	facts: (pairs) => h("dl", pairs.map(([name, value]) => h("div", h("dt", name), h("dd", prose(value))))),
	table: (caption, heads, rows) =>
		h(
			"table",
			{ key: caption },
			h("caption.unseen", caption),
			h("thead", h("tr", heads.map(([title, kind = ""]) => h(`th.${kind}`, { scope: "col" }, title)))),
			h("tbody", rows.map(({ key, cells }) => h("tr", { key }, cells.map((cell, at) => h(`td.${heads[at][1] ?? ""}`, cell))))),
		),
	filters: (changed, ...fields) =>
		h("form.filter", { key: "filter", role: "search", oninput: ({ target }) => changed(target.name, target.value.trim()), onsubmit: (event) => event.preventDefault() }, ...fields),
	field: (label, input) => h("label.field", { key: label }, h("span", label), input),
	select: (label, name, value, choices) => field(label, h("select", { name, value }, choices.map(([choice, text]) => h("option", { value: choice }, text)))),
	total: (number) => number > 0 && h("span.hint", figure(number)),
};

export const messages = h("div.messages", { role: "status" });

/** @type {Messages} */
export const { say, sayError, ask } = {
	say(text, hint, kind = "") {
		/** @type {HTMLElement} */
		const message = h(`div.message.${kind}`, h("p", visible(text), " ", h("small", prose(hint))), button(icon("close"), () => message.remove(), "plain", { "aria-label": "Dismiss" }));
		messages.append(message);
		if (messages.childElementCount > 4) messages.firstElementChild?.remove();
		if (!kind) setTimeout(() => message.remove(), 8000);
	},
	sayError(error, others = 0) {
		say(error.message, others ? `${count(others, "other job")} too.` : error.hint, "bad");
		return false;
	},
	ask(title, body, ...answers) {
		const before = /** @type {HTMLElement | null} */ (document.activeElement);
		/** @type {HTMLDialogElement} */
		const dialog = h("dialog", { "aria-label": title }, h("h2", title), body, h("p.bar", answers.map(([name, label, kind]) => button(label, () => dialog.close(name), kind))));
		document.body.append(dialog);
		dialog.showModal();
		return new Promise((resolve) => {
			dialog.onclose = () => {
				dialog.remove();
				before?.focus();
				resolve(dialog.returnValue);
			};
		});
	},
};
