// One job.

import { act, cancel } from "../actions.js";
import { h } from "../dom.js";
import { baseName, dots, folderOf, labels, minutes, pace, size, visible } from "../format.js";
import { playerOf } from "../player/player.js";
import { button, capitalized, facts, heading, icon, journey, link, pill, prose, section, sentence, table, time, VERBS } from "../ui.js";
import { expiry } from "./needs.js";

/** @type {View} */
export const view = ({ live, parts, signal, redraw, answer }) => {
	const id = Number(parts[0]);
	const found = answer(`api/jobs/${id}`);
	/** @type {Player | null} */
	let player = null;
	let [played, startsPlaying] = ["", parts[1] === "play"];

	/** The player stays while the tracks are the same. @param {JobDetails} job */
	const updatePlayer = ({ media: { tracks, source }, duration }) => {
		const stems = tracks.filter((track) => track.playable);
		const known = stems.map(({ url, size }) => `${url} ${size}`).join("\n");
		if (known !== played) {
			player?.close();
			player = stems.length ? playerOf(stems.map((track) => stemOf(track, track.title)), source?.playable ? stemOf(source, "Original") : null, duration, known) : null;
		}
		played = known;
		if (player && startsPlaying) void player.toggle();
		startsPlaying &&= !player;
	};

	live.addEventListener("job", () => {
		if (live.job?.id !== id) return;
		found.value = live.job;
		redraw();
	}, { signal });
	signal.addEventListener("abort", () => player?.close());

	return () => {
		const { value } = found;
		if (!value) return [heading(`Job ${parts[0]}`), found.shown(() => null)];
		updatePlayer(value);
		const columns = h("div.columns", { key: "columns" }, section("file", "File", null, facts(value.facts)), steps(value));
		return [title(value), notes(value), progress(value), player?.element, results(value), columns, tasks(value), charges(value)];
	};
};

/** @type {StemOf} */
const stemOf = ({ url, name: file, size }, name) => ({ name, url, size, extension: file.slice(file.lastIndexOf(".") + 1).toLowerCase() });

/** @type {Record<string, (job: JobDetails) => Child>} */
const { title, notes, progress, results, steps, tasks, charges } = {
	title({ inbox, path, state, actions, id, request, quotes, release }) {
		const name = visible(baseName(path));
		const actOn = (/** @type {Verb} */ verb, /** @type {number} */ at) => {
			const [words, cost] = [(verb === "release" && release) || VERBS[verb], quotes[verb]?.minutes];
			return button(`${words}${cost ? ` for ${minutes(cost)}` : ""} …`, () => act(verb, { ids: [id] }), at === 0 && verb !== "redo" ? "primary" : "", { key: verb });
		};
		return h(
			"header",
			{ key: "head" },
			h("p.hint", link("history", "History"), ` / ${visible(`${inbox}/${folderOf(path)}`)}`),
			heading(h("bdi", name), pill(state)),
			request && h("p.hint", `${VERBS[request] ?? request} was requested; lalald acts in a moment.`),
			h("p.bar", /** @type {const} */ (["release", "retry", "redo"]).filter((verb) => actions[verb]).map(actOn), actions.cancel && button("Cancel …", () => cancel([id], name))),
		);
	},

	notes(job) {
		const { notice, to_do: toDo, warnings, release } = job;
		return [
			notice && h(`div.notice.${notice.tone}`, { key: "why" }, h("h2", notice.title), h("p", sentence(notice.text, release)), h("p", sentence(toDo, release)), expiry(job.results_expire_at)),
			warnings.length > 0 && h("ul.notice.held", { key: "warnings" }, warnings.map((warning) => h("li", prose(warning)))),
		];
	},

	progress({ state, stage, progress, rate, seconds_left: left }) {
		const isRunning = state === "running";
		const known = dots(isRunning && stage !== "split" && `${Math.round(progress)} %`, pace(rate, left));
		return (isRunning || state === "waiting") && h("div", { key: "progress" }, h("p.bar", h("b", isRunning ? (labels.stages[stage] ?? stage) : "Waiting"), h("span.facts", known)), journey({ stage, progress }));
	},

	results({ media: { tracks, zip, zip_size: zipSize }, folder }) {
		const download = (/** @type {TrackFile} */ { number, url, name, size: bytes }) =>
			h("li", { key: number }, h("a", { href: `${url}?download=1`, download: true }, icon("download"), h("bdi", visible(name))), h("small", size(bytes)));
		const all = zip && h("a.button.small", { href: zip, download: true }, icon("download"), dots("All as zip", zipSize && size(zipSize)));
		return tracks.length > 0 && section("results", "Results", all, h("ul.bar", tracks.map(download)), folder && h("p.hint", "In ", h("code", visible(folder))));
	},

	steps: ({ steps }) => section("steps", "Steps", null, h("ol", steps.map(({ title, at, step }) => h("li", { key: `${step} ${title} ${at}` }, h("span", capitalized(visible(title))), time(at))))),

	tasks({ tasks, task_titles: titles }) {
		const row = (/** @type {Task} */ { number, state, minutes: charged, task_id: id, error }, /** @type {number} */ at) =>
			h("li", { key: number }, h("p.bar", h("b", visible(titles[at])), pill(state), h("small", charged && `${minutes(charged)} charged `, id && h("code", visible(id)))), h("p.bad", prose(error)));
		return tasks.length > 0 && section("tasks", "Tasks", null, h("ul.rows", tasks.map(row)));
	},

	charges({ charges, tasks, task_titles: titles }) {
		const rows = charges.map(({ at, task, minutes: charged }) => ({ cells: [time(at), visible(titles[tasks.findIndex(({ number }) => number === task)]), minutes(charged)] }));
		return rows.length > 0 && section("charges", "Charges", null, table("Charges", [["When"], ["Task"], ["Minutes", "figure"]], rows));
	},
};
