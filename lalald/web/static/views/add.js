// Adding files: each is priced and explained before anything is sent.

import { gathered } from "../answers.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { chosen, lengthOf } from "../files.js";
import { count, dots, free, length, minutes, pace, price, size, visible } from "../format.js";
import { button, empty, field, fileName, filters, heading, icon, jobLink, prose, says, section, select } from "../ui.js";
import { fingerprint, forget, queueOf } from "../uploads.js";

const AT_ONCE = 4;
const INTERRUPTED = "Choose or drop the same file again, into the same inbox and folder, and it resumes where it was.";

// What is chosen and sent stays while other views are shown.
let redraw = () => {};
let onPicked = () => {};
const queue = queueOf(() => redraw());
/** @type {Candidate[]} */
let candidates = [];
const place = { inbox: "", folder: "" };

/** @type {Adding} */
export const { take, pathOf, isOpen, isSendable, isAtMost, candidateRow, uploads, uploadRow } = {
	take(picked) {
		const fresh = picked.filter(({ file, path }) => !candidates.some((known) => known.path === path && known.file.size === file.size));
		candidates.push(...fresh.map((one) => ({ ...one, seconds: undefined, found: null, error: null })));
		onPicked();
	},
	pathOf: ({ path }) => (place.folder ? `${place.folder}/${path}` : path),
	isOpen: ({ found, error }) => !found && !error,
	isSendable: ({ found }) => found !== null && found.taken && !found.exists,
	isAtMost: ({ found }) => found?.may_be_free && found.minutes,
	candidateRow({ path, file, found, error, seconds }, remove) {
		const known = found?.known_job;
		return h(
			"li.row.candidate",
			{ key: `${path} ${file.size}` },
			h(
				"div",
				fileName(path),
				h("small", dots(size(file.size), seconds && length(seconds), found?.rule && `rule ${found.rule}`)),
				error && h("p.bad", error.message),
				found && says(found),
				known && h("p.held", "The same name and size: ", jobLink(known, `job ${known}`)),
			),
			h("span.figure", !found && !error ? "…" : found?.taken ? (isAtMost({ found }) ? "up to " : "") + minutes(found.minutes) : "–"),
			button(icon("close"), remove, "plain", { "aria-label": `Leave out ${visible(path)}` }),
		);
	},

	uploads() {
		const rows = queue.uploads.map((upload) => {
			const { file, inbox, path, state, sent, error, rate } = upload;
			const words = { waiting: "Waiting", sending: rate ? pace(rate, (file.size - sent) / rate) : "Sending", paused: "Paused", lost: "Connection lost; resumes automatically", done: "In the inbox", failed: "Not sent" };
			return uploadRow(
				{ id: `${inbox} ${path}`, path, size: file.size, offset: sent },
				words[state],
				error && h(`p.${state === "failed" ? "bad" : "hint"}`, visible(error.message), " ", prose(error.hint)),
				upload.isActive && button("Pause", upload.pause, "small", { key: "pause" }),
				(state === "paused" || state === "failed") && button(state === "failed" ? "Try again" : "Resume", () => queue.resume(upload), "small", { key: "resume" }),
				button(state === "done" ? "Hide" : "Cancel", () => queue.remove(upload), "plain.small", { key: "remove" }),
			);
		});
		return rows.length > 0 && section("uploads", "Uploads", h("span.hint", `${queue.uploads.filter(({ state }) => state === "done").length} of ${rows.length}`), h("ul.rows", rows));
	},
	uploadRow: ({ id, path, size: all, offset }, words, trouble, ...buttons) =>
		h(
			"li.row.upload",
			{ key: id },
			fileName(path),
			h("progress", { max: all || 1, value: offset, "aria-label": `${visible(path)}: sent` }),
			h("span.facts", dots(`${size(offset)} of ${size(all)}`, words)),
			h("span.bar", ...buttons),
			trouble,
		),
};

/** @type {View} */
export const view = ({ live, signal, session, redraw: draw, answer }) => {
	if (!session.uploads) return () => [heading("Add files"), empty("Uploads are off", h("p", prose("Put files into an inbox yourself, or set `web.uploads: true`.")))];
	const config = answer("api/config");
	const remotes = answer("api/uploads");
	let [round, timer] = [0, 0];

	// an answer for another place, or before more files came, is not used
	const explainAll = async () => {
		const mine = ++round;
		const open = candidates.filter(isOpen);
		const worker = async () => {
			for (let next = open.shift(); next; next = open.shift()) {
				next.seconds ??= await lengthOf(next.file);
				const facts = { inbox: place.inbox, path: pathOf(next), size: next.file.size, seconds: next.seconds };
				const found = await get("api/explain", facts, signal).catch((error) => error);
				if (mine !== round || signal.aborted) return;
				Object.assign(next, found instanceof Error ? { error: found } : { found });
				draw();
			}
		};
		await Promise.all(Array.from({ length: AT_ONCE }, worker));
	};
	redraw = gathered(draw, signal, 100);
	onPicked = () => {
		draw();
		if (place.inbox) void explainAll();
	};

	/** What was said of files does not hold there. @type {MoveTo} */
	const moveTo = (name, value) => {
		Object.assign(place, name === "inbox" ? { inbox: value } : { folder: value.replace(/^\/+|\/+$/g, "") });
		for (const candidate of candidates) [candidate.found, candidate.error] = [null, null];
		round++;
		draw();
		clearTimeout(timer);
		timer = setTimeout(explainAll, 250);
	};

	const leaveOut = (/** @type {Adding["isOpen"]} */ isLeftOut) => {
		candidates = candidates.filter((candidate) => !isLeftOut(candidate));
		draw();
	};
	const send = () => {
		for (const candidate of candidates.filter(isSendable)) {
			const [{ file }, path, { inbox }] = [candidate, pathOf(candidate), place];
			queue.add(file, inbox, path, remotes.value?.uploads.find((remote) => remote.inbox === inbox && remote.path === path && remote.fingerprint === fingerprint(file)));
		}
		leaveOut(isSendable);
	};

	const offer = () => {
		const ready = candidates.filter(isSendable);
		const known = ready.reduce((sum, { found }) => sum + (found?.minutes ?? 0), 0);
		const unknown = ready.filter(({ found }) => found?.minutes === null).length;
		const left = candidates.find(({ found }) => found)?.found?.minutes_left ?? live.status?.minutes.left ?? null;
		const isAsking = candidates.some(isOpen);
		const sum = [
			h("b", `${count(ready.length, "file")}: ${ready.some(isAtMost) ? "up to " : ""}${price(known, unknown)}`),
			left !== null && h("small", ` of ${free(left)} left`),
			left !== null && known > left && h("span.bad", " What does not fit is held until you top up."),
		];
		return section(
			"candidates",
			"Before they are sent",
			null,
			h("ul.rows", candidates.map((candidate) => candidateRow(candidate, () => leaveOut((other) => other === candidate)))),
			h(
				"div.bar.send",
				h("p", { "aria-live": "polite" }, isAsking ? "Pricing …" : ready[0] && sum),
				button(`Send ${count(ready.length, "file")}`, send, "primary", { disabled: !ready.length || isAsking }),
				button("Clear", () => leaveOut(() => true), "plain"),
			),
		);
	};

	const interrupted = () => {
		const orphans = (remotes.value?.uploads ?? []).filter((remote) => !queue.uploads.some(({ path, inbox }) => path === remote.path && inbox === remote.inbox));
		const rows = orphans.map((remote) => uploadRow(remote, "", null, button("Remove", () => forget(remote.id).then(remotes.load), "small")));
		return rows.length > 0 && section("interrupted", "Interrupted", null, h("p.hint", INTERRUPTED), h("ul.rows", rows));
	};

	return () => [
		heading("Add files"),
		config.shown(({ inboxes }) => {
			if (!inboxes.some(({ path }) => path === place.inbox)) {
				place.inbox = inboxes[0]?.path ?? "";
				void explainAll();
			}
			return [
				filters(
					moveTo,
					select("Into the inbox", "inbox", place.inbox, inboxes.map(({ path }) => [path, visible(path)])),
					field("Folder in it (optional)", h("input", { type: "text", name: "folder", value: place.folder, placeholder: "podcasts", spellcheck: "false", autocomplete: "off" })),
				),
				h(
					"section.zone",
					{ key: "zone" },
					icon("add"),
					h("p", h("b", "Drop audio or video here"), h("span", "Files or whole folders. You see what each costs before it is sent.")),
					button("Choose files", ({ target }) => target.nextElementSibling.click()),
					h("input", { type: "file", multiple: true, hidden: true, onchange: ({ target }) => (take(chosen(target.files)), (target.value = "")) }),
				),
				candidates.length > 0 && offer(),
				interrupted(),
				uploads(),
			];
		}),
	];
};
