import { gathered } from "../answers.js";
import { h } from "../dom.js";
import { ago, count, dots, figure, free, labels, minutes, moment, pace, price, visible } from "../format.js";
import { fileName, heading, icon, jobLink, journey, link, loading, section, total } from "../ui.js";
import { needsYou } from "./needs.js";

const RUNNING_SHOWN = 12;
const WAY = [["Inbox", "A rule decides what is made of the file"], ["LALAL.AI", "It is uploaded and split; this costs minutes"], ["Outbox", "The tracks appear, all at once"], ["Here", "You listen to them"]];

/** @type {View} */
export const view = ({ live, signal, redraw, answer }) => {
	const needs = answer("api/needs");
	const reload = gathered(needs.load, signal);
	let known = "";
	live.addEventListener("status", () => {
		const { needs_attention: attention, holds, failures } = live.status ?? {};
		const found = JSON.stringify([attention, holds, failures]);
		if (known && found !== known) reload();
		known = found;
		redraw();
	}, { signal });
	const timer = setInterval(redraw, 20_000); // "2 min ago"
	signal.addEventListener("abort", () => clearInterval(timer));

	return () => {
		const { status } = live;
		if (!status) return [heading("Now"), loading()];
		const isFirstVisit = Object.values(status.jobs).every((number) => number === 0);
		const flow = isFirstVisit ? welcome(status) : [running(status), waiting(status), finished(status)];
		return [heading("Now"), figures(status), needsYou(needs.value?.cards ?? [], status.jobs.failed), h("div.flow", { key: "flow" }, flow)];
	};
};

/** @type {Record<string, (status: Status) => Child>} */
const { figures, welcome, running, waiting, finished } = {
	figures({ daemon, service, minutes: spent }) {
		const cell = (/** @type {string} */ name, /** @type {Child} */ value, /** @type {Child} */ note) => h("div", h("dt", name), h("dd", h("b", value), h("small", note)));
		const state = (/** @type {boolean} */ isGood, /** @type {string} */ words) => h(`span.state.${isGood ? "good" : "bad"}`, words);
		return h(
			"dl.figures",
			{ key: "figures" },
			cell("Minutes left", spent.left === null ? "unknown" : free(spent.left), spent.left_at && `as of ${ago(spent.left_at)}`),
			cell("Spent today", minutes(spent.today), `${minutes(spent.this_month)} this month`),
			cell("lalald", state(daemon.running, daemon.running ? "Running" : "Not running"), daemon.running && daemon.started_at ? `since ${moment(daemon.started_at)}` : "jobs wait until it is started"),
			cell("Service", state(!service.trouble, service.trouble ? "In trouble" : "Working"), service.trouble ? `since ${moment(service.since ?? "")}` : "LALAL.AI answers"),
		);
	},

	welcome: ({ inboxes: [inbox] }) =>
		h(
			"section.welcome",
			{ key: "welcome", "aria-label": "Drop your first song" },
			h("h2", "Drop your first song"),
			h("p", "Put an audio or video file into ", inbox ? h("code", visible(inbox.path)) : "an inbox", ", or add it here. You see its price before anything is charged."),
			h("ol", WAY.map(([where, what]) => h("li", h("b", where), h("span.hint", what)))),
			h("a.button.primary", { href: "#/add" }, icon("add"), "Add files"),
		),

	running({ under_way: jobs, jobs: { running: all } }) {
		const row = (/** @type {RunningJob} */ { id, path, stage, progress, rate, seconds_left: left }) =>
			h(
				"li.row.running",
				{ key: id },
				jobLink(id, fileName(path)),
				h("span.doing", labels.stages[stage] ?? stage),
				journey({ stage, progress }),
				h("span.percent", stage !== "split" && `${Math.round(progress ?? 0)} %`),
				h("span.facts", pace(rate, left)),
			);
		const rows = jobs.slice(0, RUNNING_SHOWN).map(row);
		const more = all > rows.length && link("history?state=running", `All ${figure(all)} running jobs`);
		return section("running", "Running", total(all), rows.length ? h("ul.rows", rows) : h("p.hint", "Nothing runs at the moment."), more);
	},

	waiting({ jobs, stages, waiting: priced }) {
		if (!jobs.waiting) return null;
		const steps = Object.entries(stages).flatMap(([stage, number]) => (number > 0 ? `${figure(number)} to ${stage}` : []));
		const cost = priced.minutes || priced.unknown ? `${price(priced.minutes, priced.unknown)} will be charged.` : "Nothing more will be charged for them.";
		return section("waiting", "Waiting", null, h("p", link("history?state=waiting", count(jobs.waiting, "job")), steps.length > 0 && ` (${steps.join(", ")})`, ". ", cost));
	},

	finished({ finished: jobs }) {
		const row = (/** @type {FinishedJob} */ { id, path, folder, minutes: charged, finished_at: at }) =>
			h(
				"li.row.finished",
				{ key: id },
				h("a.listen", { href: `#/jobs/${id}/play`, "aria-label": `Listen to ${visible(path)}` }, icon("play")),
				jobLink(id, fileName(path)),
				h("span.where", folder ? fileName(folder) : "no new results"),
				h("span.facts", dots(charged ? minutes(charged) : "nothing charged", ago(at))),
			);
		return jobs.length > 0 && section("done", "Just finished", link("history?state=done", "All"), h("ul.rows", jobs.map(row)));
	},
};
