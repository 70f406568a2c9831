// The few icons, drawn here: 20 × 20, strokes in the color of the text.

import { svg } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
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

/** An icon; it says nothing to a screen reader, so the text beside it must. @param {string} name */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}
