import { h } from "../dom.js";
import { clock, dayName, labels, visible } from "../format.js";
import { empty, field, filters, heading, jobLink, prose, select, sentence } from "../ui.js";

/** @type {Record<string, string>} */
const TONES = { "job.done": "good", "job.held": "held", "minutes.low": "held" };

/** @type {View} */
export const view = ({ live, query, signal, list }) => {
	const filter = { event: query.get("event") ?? "", text: query.get("text") ?? "" };
	const events = list("api/log", "events", filter, 100, 100);
	live.addEventListener("changed", events.refresh, { signal });
	const fields = [
		field("Text", h("input", { type: "search", name: "text", value: filter.text })),
		select("Event", "event", filter.event, [["", "Everything"], ...Object.entries(labels.events)]),
	];
	const none = () =>
		filter.event || filter.text
			? empty("No event matches", h("p", "Events are kept for a week."))
			: empty("Nothing has happened yet", h("p", "Finished and failed jobs, holds, folders and the service's troubles are listed here."));
	return () => [
		heading("Log"),
		filters((name, value) => (Object.assign(filter, { [name]: value }), events.search()), ...fields),
		events.shown((found) => (found.length ? days(found) : none())),
	];
};

/** @param {LogEvent[]} events */
function days(events) {
	const days = [...new Set(events.map(({ at }) => dayName.format(new Date(at))))];
	return days.map((day) => h("section", { key: day, "aria-label": day }, h("h2.hint", day), h("ol.rows", events.filter(({ at }) => dayName.format(new Date(at)) === day).map(entry))));
}

/** @param {LogEvent} event */
function entry({ id, at, event, problem, title, message, hint, job }) {
	const words = h(`b.${TONES[event] ?? (problem ? "bad" : "")}`, visible(title));
	return h("li.row.event", { key: id }, h("time.hint", { datetime: at }, clock.format(new Date(at))), h("div", h("p", job === null ? words : jobLink(job, words)), h("p", sentence(message)), h("p.hint", prose(hint))));
}
