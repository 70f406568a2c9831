import { act, cancel } from "../actions.js";
import { bars } from "../bars.js";
import { h } from "../dom.js";
import { baseName, count, labels, length, minutes } from "../format.js";
import { button, capitalized, empty, field, fileName, filters, heading, jobLink, link, pill, prose, section, select, table, time, VERBS } from "../ui.js";

const ACTIONS = /** @type {const} */ (["release", "retry", "redo", "cancel"]);
const STATES = ["waiting", "running", "held", "failed", "cancelled", "done"];
const ALL = ["", "All"];

/** @type {View} */
export const view = ({ live, query, signal, redraw, answer, list }) => {
	/** @type {Record<string, string>} */
	const filter = Object.fromEntries(["state", "hold", "text", "rule", "inbox", "day"].map((name) => [name, query.get(name) ?? ""]));
	const jobs = list("api/jobs", "jobs", filter, 50, 200);
	const charged = answer("api/history", { by: "month" });
	const config = answer("api/config");
	/** @type {Set<number>} */
	const chosen = new Set();
	live.addEventListener("changed", jobs.refresh, { signal });

	const changed = (/** @type {string} */ name, /** @type {string} */ value) => {
		if (filter[name] === value) return;
		filter[name] = value;
		if (name === "state" && value !== "held") filter.hold = "";
		const kept = new URLSearchParams(Object.entries(filter).filter(([, text]) => text));
		globalThis.history.replaceState(null, "", `#/history${kept.size ? `?${kept}` : ""}`);
		choose([...chosen], false);
		jobs.search();
	};

	const form = () => {
		const inboxes = config.value?.inboxes ?? [];
		const rules = [...new Set(inboxes.flatMap((inbox) => inbox.rules.map((rule) => rule.name)))];
		return filters(
			changed,
			field("Name or number", h("input", { type: "search", name: "text", value: filter.text, placeholder: "song.wav or #12" })),
			select("State", "state", filter.state, [ALL, ...STATES.map((state) => [state, capitalized(state)])]),
			filter.state === "held" && select("Hold", "hold", filter.hold, [ALL, ...Object.entries(labels.holds).map(([hold, words]) => [hold, capitalized(words)])]),
			rules.length > 1 && select("Rule", "rule", filter.rule, [ALL, ...rules.map((rule) => [rule, rule])]),
			inboxes.length > 1 && select("Inbox", "inbox", filter.inbox, [ALL, ...inboxes.map(({ path }) => [path, baseName(path)])]),
			field("Day", h("input", { type: "date", name: "day", value: filter.day })),
		);
	};

	const choose = (/** @type {number[]} */ ids, /** @type {boolean} */ isChosen) => {
		for (const id of ids) isChosen ? chosen.add(id) : chosen.delete(id);
		redraw();
	};
	const checkbox = (/** @type {string} */ label, /** @type {number[]} */ ids) =>
		h("input", { type: "checkbox", checked: ids.length > 0 && ids.every((id) => chosen.has(id)), "aria-label": label, onchange: (event) => choose(ids, event.target.checked) });

	const chosenBar = () => {
		const selected = (jobs.items ?? []).filter(({ id }) => chosen.has(id));
		const buttons = ACTIONS.map((verb) => {
			const ids = selected.filter(({ actions }) => actions[verb]).map(({ id }) => id);
			const press = async () => {
				if (await (verb === "cancel" ? cancel(ids, count(ids.length, "job")) : act(verb, { ids }))) {
					choose([...chosen], false);
					jobs.refresh();
				}
			};
			return ids.length > 0 && button(`${VERBS[verb]}${ids.length < selected.length ? ` ${ids.length}` : ""} …`, press, "small", { key: verb });
		});
		const parts = [h("b", `${count(selected.length, "job")} selected`), ...buttons, button("Clear", () => choose([...chosen], false), "plain")];
		return selected.length > 0 && h("div.bar.chosen", { key: "bar", role: "region", "aria-label": "Selected jobs" }, ...parts);
	};

	const row = (/** @type {Job} */ job) => ({
		key: job.id,
		cells: [
			checkbox(`Select job ${job.id}`, [job.id]),
			[jobLink(job.id, fileName(job.path)), job.reason && h("small", prose(job.reason))],
			pill(job.state),
			job.rule ?? "–",
			length(job.duration),
			job.minutes ? minutes(job.minutes) : "–",
			time(job.created_at),
		],
	});
	const content = (/** @type {Job[]} */ found) => {
		if (!found.length) return none(Object.values(filter).some(Boolean));
		const all = checkbox("Select all jobs shown", found.map(({ id }) => id));
		return table("Jobs, newest first", [[all, "select"], ["File", "name"], ["State", "status"], ["Rule", "rule"], ["Length", "figure.length"], ["Minutes", "figure"], ["Added", "when"]], found.map(row));
	};

	return () => [
		heading("History"),
		charged.value && charged.value.months.length > 0 && section("months", "Minutes by month", null, bars(charged.value.months)),
		section("list", "Jobs", null, form(), chosenBar(), jobs.shown(content)),
	];
};

/** @param {boolean} isFiltered */
const none = (isFiltered) =>
	isFiltered
		? empty("No job matches", h("p", "Change the filter, or ", link("history", "show all jobs"), "."))
		: empty("No jobs yet", h("p", "Every file that lalald processes is listed here."), h("a.button", { href: "#/add" }, "Add files"));
