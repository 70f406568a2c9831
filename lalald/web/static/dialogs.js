// A question that waits for an answer: the browser's own dialog, so focus, Escape and screen readers work.

import { h } from "./dom.js";

let number = 0;

/**
 * The name of the action that was chosen; null where the dialog was closed otherwise.
 * @param {{title: string, body: import("./dom.js").Child[], actions: string[][]}} question  actions: name, label, class
 * @returns {Promise<string | null>}
 */
export function openDialog({ title, body, actions }) {
  const id = `dialog-${++number}`;
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const dialog = h(
    "dialog",
    { "aria-labelledby": id },
    h("h2", { id }, title),
    h("div", { class: "dialog-body" }, ...body),
    h("div", { class: "dialog-actions" }, actions.map(([name, label, kind]) => h("button", { type: "button", class: kind ?? "", value: name, on: { click: () => dialog.close(name) } }, label))),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus();
      resolve(dialog.returnValue || null);
    });
  });
}
