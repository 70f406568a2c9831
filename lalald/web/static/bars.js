// Minutes by month as bars, divided by rule. The figures stand beside them as text.

import { h } from "./dom.js";
import { minutes, visible } from "./format.js";

const MONTHS_SHOWN = 12;
const COLORS = 5; // further rules share the last color
const monthName = new Intl.DateTimeFormat("en", { month: "short", year: "numeric" });

/** @param {{month: string, rule: string | null, minutes: number}[]} sums */
export function bars(sums) {
  const months = [...new Set(sums.map(({ month }) => month))].sort().slice(-MONTHS_SHOWN).reverse();
  const of = (/** @type {string | null} */ month, /** @type {string | null} */ rule) =>
    sums.filter((sum) => (month ?? sum.month) === sum.month && (rule ?? sum.rule ?? "other") === (sum.rule ?? "other")).reduce((all, sum) => all + sum.minutes, 0);
  const rules = [...new Set(sums.map(({ rule }) => rule ?? "other"))].sort((left, right) => of(null, right) - of(null, left));
  const hue = (/** @type {number} */ at) => `hue-${Math.min(at, COLORS - 1)}`;
  const most = Math.max(...months.map((month) => of(month, null)), 0.001);
  const segment = (/** @type {string} */ month) => (/** @type {string} */ rule, /** @type {number} */ at) =>
    of(month, rule) > 0 && h(`span.${hue(at)}`, { title: `${rule}: ${minutes(of(month, rule))}`, style: { width: `${(of(month, rule) / most) * 100}%` } });
  const row = (/** @type {string} */ month) =>
    h(
      "li",
      { key: month },
      h("span.hint", monthName.format(new Date(`${month}-15T12:00:00`))),
      h("span.meter", { "aria-hidden": "true" }, rules.map(segment(month))),
      h("span.figure", minutes(of(month, null))),
      h("span.unseen", rules.map((rule) => ` ${visible(rule)}: ${minutes(of(month, rule))}.`)),
    );
  return [rules.length > 1 && h("ul.legend.bar", { "aria-hidden": "true" }, rules.map((rule, at) => h(`li.hint.${hue(at)}`, visible(rule)))), h("ol.bars", months.map(row))];
}
