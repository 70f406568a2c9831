// Pieces that several views show.

import { h } from "./dom.js";
import { baseName, exactly, folderOf, moment, span, visible } from "./format.js";
import { STAGES, STATES } from "./words.js";

/** @typedef {import("./dom.js").Child} Child */

const LEGS = ["upload", "check", "download", "archive"];
/** @type {Record<string, number>} */
const LEG_OF_STAGE = { upload: 0, split: 1, check: 1, download: 2, delete: 3, archive: 3, done: 4 };

/** The heading that a change of view moves to. @param {string} title @param {...Child} beside */
export function heading(title, ...beside) {
  return h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, title), ...beside);
}

/** A part of a view with its heading. @param {string} title @param {{key: string, beside?: Child, class?: string}} how @param {...Child} children */
export function section(title, how, ...children) {
  const id = `section-${how.key}`;
  return h("section", { key: how.key, class: how.class ?? null, "aria-labelledby": id }, h("div", { class: "section-head" }, h("h2", { id }, title), how.beside), ...children);
}

/** A file's name with its folder before it; what cannot be seen is shown. @param {string} path */
export function fileName(path) {
  const folder = folderOf(path);
  return h("span", { class: "file-name", title: visible(path) }, folder && h("span", { class: "folder" }, visible(folder)), h("bdi", null, visible(baseName(path))));
}

/** A path that may be cut in its middle, never at its end. @param {string} path */
export function longPath(path) {
  return h("span", { class: "long-path", title: visible(path) }, folderOf(path) && h("span", { class: "folder" }, visible(folderOf(path))), h("bdi", null, visible(baseName(path))));
}

/** How far a job has come: four legs, the current one filled as far as it is. @param {{stage: string, progress: number | null}} job */
export function journey({ stage, progress }) {
  const at = LEG_OF_STAGE[stage] ?? 0;
  const percent = Math.max(0, Math.min(100, progress ?? 0));
  const legs = LEGS.map((_, leg) => h("span", { class: leg < at ? "leg is-done" : leg === at ? "leg is-here" : "leg" }, leg === at && h("span", { class: "fill", style: { width: `${stage === "split" ? 0 : percent}%` } })));
  const told = at === 4 ? "Done" : `${STAGES[stage] ?? stage}, ${Math.round(percent)} %`;
  return h("span", { class: "journey", role: "img", "aria-label": told }, legs);
}

/** @param {string} state */
export function pill(state) {
  return h("span", { class: `pill is-${state}` }, STATES[state] ?? state);
}

/** @param {string | null | undefined} iso */
export function time(iso) {
  return iso ? h("time", { datetime: iso, title: exactly(iso) }, moment(iso)) : null;
}

/** Sentences of lalald, in which commands stand between backquotes. @param {string | null | undefined} text */
export function prose(text) {
  return visible(text).split("`").map((piece, index) => (index % 2 ? h("code", null, piece) : piece));
}

/** A clause of lalald as a sentence. @param {string | null | undefined} text */
export function sentence(text) {
  const words = text ?? "";
  return prose(/^[a-z]+[ ,:]/.test(words) ? words[0].toUpperCase() + words.slice(1) : words);
}

/** @param {string} title @param {...Child} children */
export function emptyState(title, ...children) {
  return h("div", { class: "empty", key: "empty" }, h("h2", null, title), ...children);
}

/** What cannot be shown, and why. @param {any} error @param {() => void} [again] */
export function failure(error, again) {
  return h(
    "div",
    { class: "notice is-bad", role: "alert", key: "failure" },
    h("p", null, error.message, error.hint && h("span", { class: "hint" }, " ", prose(error.hint))),
    again && h("button", { type: "button", on: { click: again } }, "Try again"),
  );
}

export const loading = () => h("p", { class: "hint", key: "loading" }, "Loading …");

/**
 * Calls of one function that come close together become one, and one at a time.
 * @param {() => Promise<void>} work @param {AbortSignal} signal @param {number} [milliseconds]
 */
export function gathered(work, signal, milliseconds = 400) {
  let [isDue, isBusy] = [false, false];
  const run = async () => {
    [isDue, isBusy] = [false, true];
    await work();
    isBusy = false;
    if (isDue && !signal.aborted) later();
  };
  const later = () => setTimeout(() => !signal.aborted && void run(), milliseconds);
  return () => {
    if (isDue) return;
    isDue = true;
    if (!isBusy) later();
  };
}

/** A span of the configuration, which may be text or seconds. @param {string | number} value */
export const moments = (value) => (typeof value === "number" ? span(value) : value);
