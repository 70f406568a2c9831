import { get, post } from "../api.js";
import { h } from "../dom.js";
import { count, free, minutes, price, size, visible } from "../format.js";
import { button, facts, failure, field, heading, loading, prose, say, sayError, says, section, table } from "../ui.js";

/** @type {View} */
export const view = ({ live, signal, redraw, answer }) => {
	const config = answer("api/config");
	/** @type {Shown<Plan> | null} */
	let plan = null;
	/** @type {Map<string, {files: SkippedFile[], next: string | null}>} */
	const skipped = new Map();
	/** @type {Map<string, any>} */
	const explained = new Map();
	live.addEventListener("status", redraw, { signal });

	const rescan = async () => {
		const found = await post("api/rescan", {}).catch(sayError);
		if (found) say(found.daemon_running ? "Scanning the inboxes." : "lalald scans when it is started.");
	};

	const loadSkipped = async (/** @type {string} */ inbox) => {
		const known = skipped.get(inbox);
		const page = await get("api/skipped", { inbox, after: known?.next, limit: 100 }, signal).catch(sayError);
		if (page) skipped.set(inbox, { files: [...(known?.files ?? []), ...page.files], next: page.next_after });
		redraw();
	};

	const leftAlone = (/** @type {string} */ inbox) => {
		const found = skipped.get(inbox);
		const files = found?.files.map(({ path, size: bytes, reason }) => h("li", { key: path }, h("bdi", visible(path)), " ", h("small", size(bytes), "; ", prose(reason))));
		return h(
			"details",
			{ ontoggle: ({ target }) => target.open && !found && loadSkipped(inbox) },
			h("summary", "What was left alone, and why"),
			!files ? loading() : files.length ? h("ul", files) : h("p.hint", "Nothing: every file in this inbox was processed, or will be."),
			found?.next && button("Show more", () => loadSkipped(inbox), "small"),
		);
	};

	const whyForm = (/** @type {string} */ inbox) => {
		const onsubmit = async (/** @type {any} */ event) => {
			event.preventDefault();
			const path = event.target.elements.path.value.trim();
			if (path) explained.set(inbox, await get("api/explain", { inbox, path }, signal).catch((error) => error));
			redraw();
		};
		const found = explained.get(inbox);
		return h(
			"form.filter.why",
			{ onsubmit },
			field("Would a file be processed? Its path in this inbox", h("input", { name: "path", placeholder: "album/song.wav", autocomplete: "off", spellcheck: "false" })),
			h("button", "Explain"),
			found && h("div.answer", { role: "status" }, found instanceof Error ? failure(found) : [h("p", found.summary), says(found)]),
		);
	};

	const card = (/** @type {InboxConfig} */ { path, facts: pairs, rules }) => {
		const { available, watch, watch_reason: why, reason } = live.status?.inboxes.find((one) => one.path === path) ?? {};
		const words = { true: "Available", false: "Unavailable" }[String(available)] ?? "Not scanned yet";
		const watching = [watch ?? "not at the moment", watch !== "native" && why, reason].filter(Boolean).join("; ");
		const rule = (/** @type {Rule} */ { name, lines: [files, ...rest] }) => h("li.row.rule", h("b", visible(name)), h("span", prose(files)), rest.map((line) => h("span.hint", prose(line))));
		return h(
			"section.inbox",
			{ key: path, "aria-label": visible(path) },
			h("header.bar", h("h2", visible(path)), h(`span.state.${{ true: "good", false: "bad" }[String(available)] ?? ""}`, words)),
			facts([["Watched", watching], ...pairs]),
			h("h3", "Rules"),
			h("ol.rows", rules.map(rule)),
			whyForm(path),
			leftAlone(path),
		);
	};

	const pricing = (/** @type {Shown<Plan> | null} */ plan) => (plan && !plan.value && !plan.error ? "Pricing …" : "Price what waits");
	return () => [
		heading("Inboxes and rules", button("Scan now", rescan), button(pricing(plan), () => (plan = answer("api/plan")), "", { key: "price" })),
		plan?.shown(planned),
		config.shown(({ inboxes, limits }) => [inboxes.map(card), section("limits", "Limits", null, facts(limits), h("p.hint", prose("Rules and limits are changed in the configuration file; `lalald check-config` checks it.")))]),
	];
};

/** @type {Planned} */
const planned = ({ rules, files, minutes: known, unknown, minutes_left: left, left_alone: alone, troubles }) => {
	const rows = rules.filter((line) => line.new + line.waiting + line.held > 0).map((line) => ({ cells: [line.rule, line.new || "–", line.waiting || "–", line.held || "–", minutes(line.minutes)] }));
	const others = Object.entries(alone).map(([reason, number]) => `${count(number, "file")} (${visible(reason)})`);
	return section(
		"plan",
		"What waits will cost",
		null,
		rows.length ? table("By rule", [["Rule"], ["New", "figure"], ["Waiting", "figure"], ["Held", "figure"], ["Minutes", "figure"]], rows) : h("p", "Nothing waits to be processed."),
		rows.length > 0 && h("p", `In all ${count(files, "file")}: ${price(known, unknown)}. `, left !== null && `${free(left)} are left.`),
		others.length > 0 && h("p.hint", "Left alone: ", others.join(", ")),
		troubles.map((trouble) => h("p.bad", prose(trouble))),
	);
};
