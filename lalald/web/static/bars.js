// Minutes by month as bars, divided by rule. The figures stand beside them as text.

import { h } from "./dom.js";
import { minutes, monthName, visible } from "./format.js";

const MONTHS_SHOWN = 12;
const COLORS = 5; // further rules share the last color

/** @param {{month: string, rule: string | null, minutes: number}[]} sums */
export function bars(sums) {
  const months = [...new Set(sums.map((sum) => sum.month))].sort().slice(-MONTHS_SHOWN);
  const kept = sums.filter((sum) => months.includes(sum.month));
  const rules = rankedRules(kept);
  const total = (/** @type {string} */ month) => kept.filter((sum) => sum.month === month).reduce((all, sum) => all + sum.minutes, 0);
  const most = Math.max(...months.map(total), 0.001);
  return h(
    "div",
    { class: "bars" },
    rules.length > 1 && h("ul", { class: "legend", "aria-hidden": "true" }, rules.map((rule, index) => h("li", null, h("span", { class: `swatch hue-${colorOf(index)}` }), visible(rule)))),
    h(
      "ol",
      null,
      months.reverse().map((month) =>
        h(
          "li",
          { key: month },
          h("span", { class: "month" }, monthName(month)),
          h("span", { class: "bar", "aria-hidden": "true" }, rules.map((rule, index) => segment(kept, month, rule, index, most))),
          h("span", { class: "figure" }, minutes(total(month))),
          h("span", { class: "unseen" }, rules.map((rule) => ` ${rule}: ${minutes(of(kept, month, rule))}.`)),
        ),
      ),
    ),
  );
}

/** @param {{rule: string | null, minutes: number}[]} sums */
function rankedRules(sums) {
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const sum of sums) totals.set(sum.rule ?? "other", (totals.get(sum.rule ?? "other") ?? 0) + sum.minutes);
  return [...totals].sort((one, two) => two[1] - one[1]).map(([rule]) => rule);
}

/** @param {number} index */
const colorOf = (index) => Math.min(index, COLORS - 1);

/** @param {{month: string, rule: string | null, minutes: number}[]} sums @param {string} month @param {string} rule */
function of(sums, month, rule) {
  return sums.filter((sum) => sum.month === month && (sum.rule ?? "other") === rule).reduce((all, sum) => all + sum.minutes, 0);
}

/** @param {{month: string, rule: string | null, minutes: number}[]} sums @param {string} month @param {string} rule @param {number} index @param {number} most */
function segment(sums, month, rule, index, most) {
  const share = (of(sums, month, rule) / most) * 100;
  return share > 0 && h("span", { class: `segment hue-${colorOf(index)}`, title: `${rule}: ${minutes(of(sums, month, rule))}`, style: { width: `${share}%` } });
}
