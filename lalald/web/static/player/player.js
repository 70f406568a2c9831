import { h, show } from "../dom.js";
import { length, visible } from "../format.js";
import { button, icon, prose } from "../ui.js";
import { isHeard, openEngine } from "./engines.js";
import { waveform } from "./waveform.js";

const HUES = 5;
const SKIP_SECONDS = 5;
const LEAST_LOOP_SECONDS = 0.25;
const SCALE = { type: "range", min: "0", max: "1", step: "0.01" };
const KEYS = `\`Space\` play, \`←\` \`→\` ${SKIP_SECONDS} s, \`1\`–\`9\` solo, with \`Shift\` mute, \`L\` loop`;
const TOO_LONG = "These stems are too long to be decoded at once, so one is heard at a time. Choose it with Solo.";

/** @type {MakePlayer} */
export const playerOf = (stems, original, seconds, key) => {
	/** @type {Engine | null} */
	let engine = null;
	/** At first both are its start. @type {Loop | null} */
	let loop = null;
	let [isOpening, hearsOriginal, hasLoopEnd, frame, message, start] = [false, false, false, 0, "", 0];
	const closing = new AbortController();
	const settings = stems.map(() => ({ volume: 1, muted: false, solo: false }));
	const [play, more, mark, clock, status] = ["span", "span.bar", "span.loop-mark", "span.clock.facts", "p.hint"].map((kind) => h(kind, { role: kind === "p.hint" && "status" }));
	const slider = h("input.position", { ...SCALE, step: "0.1", "aria-label": "Position", oninput: ({ target }) => seek(Number(target.value)) });

	/** @type {Playing} */
	const { duration, position, canCompare, toggle, seek, set, compare, cycleLoop, open, ready, apply, tick, say, trouble, drawPosition, rowOf, draw, onKey } = {
		duration: () => engine?.duration || seconds || 0,
		position: () => engine?.position ?? start,
		canCompare: () => original !== null && engine?.hasOriginal !== false,

		async toggle() {
			await open();
			if (engine?.state === "stopped") await engine.play().then(() => say(), trouble);
			else engine?.pause();
			draw();
		},
		seek(wanted) {
			start = Math.max(0, Math.min(duration(), wanted));
			engine?.seek(start);
			draw();
		},
		set(stem, changes) {
			if (changes.solo && engine?.isMixing === false) for (const setting of settings) setting.solo = false;
			Object.assign(settings[stem], changes);
			hearsOriginal = false;
			apply();
		},
		compare() {
			hearsOriginal = !hearsOriginal && canCompare();
			apply();
		},
		// sets where a loop starts, then where it ends, then ends it
		cycleLoop() {
			const at = position();
			if (loop) {
				const [from, to] = [Math.min(loop.from, at), Math.max(loop.from, at)];
				loop = !hasLoopEnd && to - from >= LEAST_LOOP_SECONDS ? { from, to } : null;
				hasLoopEnd = loop !== null;
				engine?.setLoop(loop);
				if (loop) seek(from);
			} else loop = { from: at, to: at };
			draw();
		},

		async open() {
			if (engine || isOpening) return;
			isOpening = true;
			say("Loading the stems …");
			const reports = {
				progress: (/** @type {number} */ share) => say(share < 1 ? `Loading the stems, ${Math.round(share * 100)} %` : "Preparing …"),
				peaks: () => rows.forEach(({ wave }) => wave.redraw()),
				changed: () => (engine?.state === "playing" ? say() : draw()),
				trouble,
			};
			try {
				const opened = await openEngine(stems, original, seconds, reports, closing.signal);
				if (closing.signal.aborted) opened.close();
				else ready(opened);
			} catch (error) {
				if (!closing.signal.aborted) trouble(error);
			}
			isOpening = false;
		},
		ready(opened) {
			engine = opened;
			rows.forEach(({ wave }, index) => Object.assign(wave, { peaks: opened.peaks[index] }).redraw());
			const heard = Math.max(0, settings.findIndex(({ solo }) => solo));
			if (!opened.isMixing) settings.forEach((setting, index) => (setting.solo = index === heard));
			if (start > 0) opened.seek(start);
			if (hasLoopEnd) opened.setLoop(loop);
			say();
			apply();
			tick();
		},
		apply() {
			engine?.apply(settings, hearsOriginal && canCompare());
			draw();
		},
		tick() {
			if (engine?.state !== "stopped") drawPosition();
			frame = requestAnimationFrame(tick);
		},
		say(text = engine?.isMixing === false ? TOO_LONG : "") {
			message = text;
			draw();
		},
		trouble: (error) => say(`${error.message} ${error.hint ?? ""}`),

		drawPosition() {
			const all = duration();
			const words = `${length(position())} / ${length(all || null)}`;
			if (clock.textContent !== words) clock.textContent = words;
			slider.max = String(all || 1);
			slider.value = String(position());
			slider.setAttribute("aria-valuetext", words.replace("/", "of"));
			for (const { wave } of rows) wave.progress(all ? position() / all : 0);
		},
		rowOf(stem, index) {
			const name = visible(stem.name);
			const wave = waveform((share) => seek(share * duration()));
			const volume = h("input", { ...SCALE, value: "1", "aria-label": `Volume of ${name}`, oninput: ({ target }) => set(index, { volume: Number(target.value) }) });
			const switches = h("span.bar");
			const title = h("span.stem-name", index < 9 && h("kbd", { "aria-hidden": "true" }, index + 1), h("bdi", name));
			const element = h(`li.stem.hue-${index % HUES}`, title, switches, volume, wave.canvas);
			const flip = (/** @type {"solo" | "muted"} */ what, /** @type {string} */ label) =>
				button(label, () => set(index, { [what]: !settings[index][what] }), "small", { key: label, "aria-label": `${label} ${name}`, "aria-pressed": String(settings[index][what]) });
			return { element, wave, draw: () => show(switches, flip("solo", "Solo"), flip("muted", "Mute")) };
		},
		draw() {
			const isStopped = !engine || engine.state === "stopped";
			const { from, to } = loop ?? { from: 0, to: 0 };
			const share = (/** @type {number} */ part) => `${(part / (duration() || 1)) * 100}%`;
			show(play, button([icon(isStopped ? "play" : "pause"), isStopped ? "Play" : "Pause"], toggle, "play.primary"));
			show(
				more,
				button("Original", compare, "", { hidden: !canCompare(), "aria-pressed": String(hearsOriginal) }),
				button([icon("loop"), hasLoopEnd ? "End loop" : loop ? "Loop to here" : "Loop from here"], cycleLoop, "", { key: "loop", "aria-pressed": String(hasLoopEnd) }),
			);
			mark.hidden = !loop;
			Object.assign(mark.style, { left: share(from), width: share(to - from) });
			show(status, message);
			rows.forEach((row, index) => {
				row.element.classList.toggle("is-silent", hearsOriginal || !isHeard(settings[index], settings));
				row.draw();
			});
			drawPosition();
		},
		// leaves to the focused control what it uses
		onKey({ target, ctrlKey, metaKey, altKey, shiftKey, code, key }) {
			const focused = /** @type {HTMLElement} */ (target);
			if (ctrlKey || metaKey || altKey || document.querySelector("dialog[open]") || focused.matches("input:not([type=range]), select, textarea")) return false;
			const stem = Number(/^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1] ?? 0) - 1;
			if (settings[stem]) set(stem, shiftKey ? { muted: !settings[stem].muted } : { solo: !settings[stem].solo });
			else if (key === " " && !focused.closest("button, a, summary, input")) void toggle();
			else if (/^Arrow(Left|Right)$/.test(key) && !focused.matches("input")) seek(position() + (key === "ArrowLeft" ? -SKIP_SECONDS : SKIP_SECONDS));
			else if (key.toLowerCase() === "l") cycleLoop();
			else if (key.toLowerCase() === "o") compare();
			else return false;
			return true;
		},
	};

	const rows = stems.map(rowOf);
	const bar = h("div.bar", play, clock, h("span.seek", mark, slider), more);
	const element = h("section.player", { "aria-label": "Player", key }, bar, h("ol", rows.map((row) => row.element)), status, h("p.keys.hint", prose(original ? `${KEYS}, \`O\` original` : KEYS)));
	document.addEventListener("keydown", (event) => onKey(event) && event.preventDefault(), { signal: closing.signal });
	draw();
	return {
		element,
		toggle,
		close() {
			closing.abort();
			cancelAnimationFrame(frame);
			for (const { wave } of rows) wave.close();
			engine?.close();
		},
	};
};
