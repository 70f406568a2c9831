// Short messages about what a button did. Failures stay until they are dismissed.

import { h } from "./dom.js";
import { icon } from "./icons.js";

const SHOWN_MS = 8000;

const place = h("div", { class: "messages", role: "status" });

export const messages = () => place;

/** @param {string} text @param {string | null} [hint] */
export function say(text, hint = null) {
  add(text, hint, "");
}

/** @param {unknown} error */
export function sayError(error) {
  const { message, hint } = /** @type {any} */ (error);
  add(message || "Something went wrong.", hint ?? null, "is-bad");
}

/** @param {string} text @param {string | null} hint @param {string} kind */
function add(text, hint, kind) {
  const message = h(
    "div",
    { class: `message ${kind}` },
    h("p", null, text, hint && h("span", { class: "hint" }, ` ${hint}`)),
    h("button", { class: "plain icon-only", type: "button", "aria-label": "Dismiss", on: { click: () => message.remove() } }, icon("close")),
  );
  place.append(message);
  while (place.childElementCount > 4) place.firstElementChild?.remove();
  if (!kind) setTimeout(() => message.remove(), SHOWN_MS);
}
