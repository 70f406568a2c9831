// Minutes by month as bars, divided by rule.

import { h } from "./dom.js";
import { dates, minutes, visible } from "./format.js";

const MONTHS_SHOWN = 6;
const COLORS = 5; // further rules share the last color
const monthName = dates({ month: "short", year: "numeric" });

/** @type {Bars} */
export const bars = (sums) => {
	const months = [...new Set(sums.map(({ month }) => month))].sort().slice(-MONTHS_SHOWN).reverse();
	const of = (month = "", rule = "") => sums.reduce((all, sum) => all + (sum.month.startsWith(month) && [sum.rule ?? "other", ""].includes(rule) ? sum.minutes : 0), 0);
	const rules = [...new Set(sums.map(({ rule }) => rule ?? "other"))].sort((left, right) => of("", right) - of("", left));
	const hue = (/** @type {number} */ at) => `hue-${Math.min(at, COLORS - 1)}`;
	const most = Math.max(...months.map((month) => of(month)), 0.001);
	const row = (/** @type {string} */ month) => {
		const parts = rules.map((rule, at) => ({ words: `${visible(rule)}: ${minutes(of(month, rule))}`, kind: hue(at), width: `${(of(month, rule) / most) * 100}%` }));
		return h(
			"li",
			{ key: month },
			h("span.hint", monthName.format(new Date(`${month}-15T12:00:00`))),
			h("span.meter", { "aria-hidden": "true" }, parts.map(({ words, kind, width }) => width !== "0%" && h(`span.${kind}`, { title: words, style: { width } }))),
			h("span.figure", minutes(of(month))),
			h("span.unseen", parts.map(({ words }) => ` ${words}.`)),
		);
	};
	return [rules.length > 1 && h("ul.legend.bar", { "aria-hidden": "true" }, rules.map((rule, at) => h(`li.hint.${hue(at)}`, visible(rule)))), h("ol.bars", months.map(row))];
};
