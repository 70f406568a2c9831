// What lalald says of a file before it is processed: the answer of `explain`.

import { h } from "./dom.js";
import { length, minutes } from "./format.js";
import { prose } from "./parts.js";
import { HOLDS } from "./words.js";

/** @param {Explained} found */
export function verdict(found) {
  if (!found.taken) return h("p", { class: "bad" }, "It would not be processed: ", prose(found.reason), ".");
  const facts = [found.rule && `Rule ${found.rule}`, found.duration !== null && length(found.duration), found.minutes === null ? "price known once it is uploaded, which costs nothing" : found.minutes === 0 ? "nothing will be charged" : minutes(found.minutes)].filter(Boolean);
  return [h("p", null, facts.join(" · ")), ...remarksOf(found)];
}

/** @param {Explained} found */
export function remarksOf(found) {
  const held = found.expected_hold && h("p", { class: "held" }, `It will be held (${HOLDS[found.expected_hold] ?? found.expected_hold})`, found.expected_hold_reason && [": ", prose(found.expected_hold_reason)], ".");
  return [held, ...found.remarks.map((remark) => h("p", { class: "hint" }, prose(remark)))].filter(Boolean);
}
