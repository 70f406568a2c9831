// Pieces that several views show.

import { h } from "./dom.js";
import { baseName, count, figure, folderOf, labels, length, minutes, moment, precise, visible } from "./format.js";

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
  volume: "M4 8v4h2.5L10 15V5L6.5 8zM12.5 7.5a3.5 3.5 0 0 1 0 5M14.5 5.5a6.3 6.3 0 0 1 0 9",
};

/** What the page calls the commands that it has a button or a view for. @type {Record<string, string>} */
export const VERBS = {
  retry: "Retry", redo: "Process again", release: "Release", cancel: "Cancel",
  rescan: "Scan now", plan: "Price what waits", explain: "Explain", jobs: "History", history: "History", show: "Details", status: "Now",
};

const LEGS = ["upload", "check", "download", "archive"];

/** It says nothing to a screen reader, so the text beside it must. @param {string} name */
export const icon = (name) => h("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

/** @param {Child} label @param {(event: any) => unknown} onclick @param {Props} [props] */
export const button = (label, onclick, classes = "", props = {}) => h(`button.${classes}`, { key: classes || String(label), type: "button", onclick, ...props }, label);

/** A change of view moves to it. @param {Child} title @param {Child[]} beside */
export const heading = (title, ...beside) => h("header.bar", h("h1", { tabindex: "-1" }, title), ...beside);

/** @param {string} name @param {string} title @param {Child} beside @param {Child[]} children */
export const section = (name, title, beside, ...children) =>
  h(`section.${name}`, { key: name, "aria-label": title }, h("header.bar", h("h2", title), beside), ...children);

/** What cannot be seen in a file's name is shown. @param {string} path */
export const fileName = (path) => h("span.file-name", { title: visible(path) }, h("span.hint", visible(folderOf(path))), h("bdi", visible(baseName(path))));

/** @param {number} id @param {Child} label */
export const jobLink = (id, label) => h("a", { href: `#/jobs/${id}` }, label);

/** Four legs, the current one filled as far as it is. @param {{stage: string, progress: number | null}} job */
export function journey({ stage, progress }) {
  const at = LEGS.indexOf({ split: "check", delete: "archive" }[stage] ?? stage);
  const percent = stage === "split" ? 0 : Math.round(Math.max(0, Math.min(100, progress ?? 0)));
  const legs = LEGS.map((_, leg) => h("span", h("span", { style: { width: `${leg < at ? 100 : leg === at ? percent : 0}%` } })));
  return h("span.journey", { role: "img", "aria-label": `${labels.stages[stage] ?? stage}, ${percent} %` }, legs);
}

/** @param {string} text */
export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {string} state */
export const pill = (state) => h(`span.pill.${state}`, capitalized(state));

/** @param {string | null | undefined} iso */
export const time = (iso) => iso && h("time", { datetime: iso, title: precise.format(new Date(iso)) }, moment(iso));

/**
 * Sentences of lalald, in which commands stand between backquotes. One that the page has a button for is called as the button is.
 * @param {string | null | undefined} text @param {string} [release]  what the button for a release says here
 */
export function prose(text, release = VERBS.release) {
  const known = visible(text).replace(/(?:\b(r)un )?`lalald (\w+)([^`]*)`/gi, (all, run, verb, rest) => {
    const name = verb !== "release" ? VERBS[verb] : /^ ['/]/.test(rest) ? "Accept this folder" : release;
    return name ? `${run ? (run === "R" ? "Press " : "press ") : ""}\0${name}\0` : all;
  });
  return known.split("`").map((piece, index) => (index % 2 ? h("code", piece) : piece.split("\0").map((part, at) => (at % 2 ? h("b", part) : part))));
}

/** A clause of lalald as a sentence. @param {string | null | undefined} text @param {string} [release] */
export const sentence = (text, release) => prose(/^[a-z]+[ ,:]/.test(text ?? "") ? capitalized(text ?? "") : text, release);

/** @param {string} title @param {Child[]} children */
export const empty = (title, ...children) => h("div.empty", { key: "empty" }, h("h2", title), ...children);

/** What cannot be shown, and why. @param {any} error @param {() => unknown} [again] */
export const failure = (error, again) =>
  h("div.notice.bad", { role: "alert", key: "failure" }, h("p", error.message, error.hint && h("small", " ", prose(error.hint))), again && button("Try again", again));

export const loading = () => h("p.hint", { key: "loading" }, "Loading …");

/** Names and values; those without a value are left out. @param {[string, Child][]} pairs */
export const facts = (...pairs) => h("dl", pairs.map(([name, value]) => value && h("div", h("dt", name), h("dd", value))));

/** @param {string} caption @param {[Child, string?][]} heads with the class of their cells @param {{key?: unknown, kind?: string, cells: Child[]}[]} rows */
export const table = (caption, heads, rows) =>
  h(
    "table",
    { key: caption },
    h("caption.unseen", caption),
    h("thead", h("tr", heads.map(([title, kind = ""]) => h(`th.${kind}`, { scope: "col" }, title)))),
    h("tbody", rows.map(({ key, kind = "", cells }) => h(`tr.${kind}`, { key }, cells.map((cell, at) => h(`td.${heads[at][1] ?? ""}`, cell))))),
  );

/** A form whose fields take effect as they are changed. @param {(name: string, value: string) => void} changed @param {Child[]} fields */
export const filters = (changed, ...fields) =>
  h("form.filter", { key: "filter", role: "search", oninput: ({ target }) => changed(target.name, target.value.trim()), onsubmit: (event) => event.preventDefault() }, ...fields);

/** @param {string} label @param {HTMLElement} input */
export const field = (label, input) => h("label.field", { key: label }, h("span", label), input);

/** @param {string} label @param {string} name @param {string} value @param {string[][]} choices */
export const select = (label, name, value, choices) =>
  field(label, h("select", { name, value }, choices.map(([choice, text]) => h("option", { value: choice }, text))));

/** What lalald says of a file before it is processed. @param {Explained} found */
export function verdict(found) {
  if (!found.taken) return h("p.bad", "It would not be processed: ", prose(found.reason), ".");
  const hold = found.expected_hold;
  return [
    hold && h("p.held", `It will be held (${labels.holds[hold] ?? hold})`, found.expected_hold_reason && [": ", prose(found.expected_hold_reason)], "."),
    found.remarks.map((remark) => h("p.hint", prose(remark))),
  ];
}

/** @param {Explained} found */
export function forecast({ rule, duration, minutes: price }) {
  const cost = price === null ? "price known once it is uploaded, which costs nothing" : price ? minutes(price) : "nothing will be charged";
  return [rule && `Rule ${rule}`, duration !== null && length(duration), cost].filter(Boolean).join(" · ");
}

/** A figure beside a heading. @param {number} number */
export const total = (number) => number > 0 && h("span.hint", figure(number));

export const messages = h("div.messages", { role: "status" });

/** A short message about what a button did; failures stay until they are dismissed. @param {string} text @param {string | null} [hint] */
export function say(text, hint, kind = "") {
  /** @type {HTMLElement} */
  const message = h(`div.message.${kind}`, h("p", visible(text), hint && h("small", " ", prose(hint))), button(icon("close"), () => message.remove(), "plain", { "aria-label": "Dismiss" }));
  messages.append(message);
  if (messages.childElementCount > 4) messages.firstElementChild?.remove();
  if (!kind) setTimeout(() => message.remove(), 8000);
}

/** @param {any} error @returns {false} */
export function sayError(error, others = 0) {
  say(error.message || "Something went wrong.", others ? `${count(others, "other job")} too.` : error.hint, "bad");
  return false;
}

/** A question; the name of the answer, or an empty one where it was closed. @param {string} title @param {Child[]} body @param {string[][]} answers name, label, class @returns {Promise<string>} */
export function ask(title, body, ...answers) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { "aria-label": title }, h("h2", title), ...body, h("p.bar", answers.map(([name, label, kind]) => button(label, () => dialog.close(name), kind))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      before?.focus();
      resolve(dialog.returnValue);
    };
  });
}
