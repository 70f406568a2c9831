// The player as it is seen and worked: one row a stem, a position for all of them.

import { h, show } from "../dom.js";
import { length, visible } from "../format.js";
import { button, icon } from "../ui.js";
import { isHeard, openEngine } from "./engines.js";
import { waveform } from "./waveform.js";

const HUES = 6;
const SKIP_SECONDS = 5;
const LEAST_LOOP_SECONDS = 0.25;
const SCALE = { type: "range", min: "0", max: "1", step: "0.01" };
const KEYS = ["Space", " play, ", "←", " ", "→", ` ${SKIP_SECONDS} s, `, "1", "–", "9", " solo, with ", "Shift", " mute, ", "L", " loop", ", ", "O", " original"];
const TOO_LONG = "These stems are too long to be decoded at once, so one is heard at a time. Choose it with Solo.";

/** @type {(stems: Stem[], original: Stem | null, seconds: number | null, key: string) => Player} */
export const playerOf = (stems, original, seconds, key) => {
  /** @type {Engine | null} */
  let engine = null;
  let [isOpening, hearsOriginal, volume, frame, message, start] = [false, false, 1, 0, "", 0];
  /** Until its end is known both are its start. @type {Loop | null} */
  let loop = null;
  let hasLoopEnd = false;
  const closing = new AbortController();
  const settings = stems.map(() => ({ volume: 1, muted: false, solo: false }));
  const duration = () => engine?.duration || seconds || 0;
  const position = () => engine?.position ?? start;
  const waves = stems.map(() => waveform((share) => seek(share * duration())));
  const element = h("section.player", { "aria-label": "Player", key });
  const clock = h("span.clock.facts");
  const slider = h("input.position", { ...SCALE, step: "0.1", "aria-label": "Position", oninput: ({ target }) => seek(Number(target.value)) });

  const toggle = async () => {
    await open();
    if (engine?.state === "stopped") await engine.play().then(() => say(), trouble);
    else engine?.pause();
    draw();
  };

  const seek = (/** @type {number} */ wanted) => {
    start = Math.max(0, Math.min(duration(), wanted));
    engine?.seek(start);
    draw();
  };

  const set = (/** @type {number} */ stem, /** @type {Partial<Setting>} */ changes) => {
    if (changes.solo && engine?.isMixing === false) for (const setting of settings) setting.solo = false;
    Object.assign(settings[stem], changes);
    hearsOriginal = false;
    apply();
  };

  /** Hears the original instead of the stems, or the stems again. */
  const compare = () => {
    hearsOriginal = !hearsOriginal && canCompare();
    apply();
  };
  const canCompare = () => original !== null && engine?.hasOriginal !== false;

  /** Sets where a loop starts, then where it ends, then ends it. */
  const cycleLoop = () => {
    const at = position();
    if (!loop) loop = { from: at, to: at };
    else {
      const wanted = { from: Math.min(loop.from, at), to: Math.max(loop.from, at) };
      loop = !hasLoopEnd && wanted.to - wanted.from >= LEAST_LOOP_SECONDS ? wanted : null;
      hasLoopEnd = loop !== null;
      engine?.setLoop(loop);
      if (loop) seek(loop.from);
    }
    draw();
  };

  const open = async () => {
    if (engine || isOpening) return;
    isOpening = true;
    say("Loading the stems …");
    const reports = {
      progress: (/** @type {number} */ share) => say(share < 1 ? `Loading the stems, ${Math.round(share * 100)} %` : "Preparing …"),
      peaks: () => waves.forEach((wave) => wave.redraw()),
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
  };

  const ready = (/** @type {Engine} */ opened) => {
    engine = opened;
    waves.forEach((wave, index) => Object.assign(wave, { peaks: opened.peaks[index] }).redraw());
    const heard = Math.max(0, settings.findIndex(({ solo }) => solo));
    if (!opened.isMixing) settings.forEach((setting, index) => (setting.solo = index === heard));
    if (start > 0) opened.seek(start);
    if (hasLoopEnd) opened.setLoop(loop);
    say();
    apply();
    tick();
  };

  const apply = () => {
    engine?.apply(settings, volume, hearsOriginal);
    draw();
  };

  const tick = () => {
    if (engine?.state !== "stopped") drawPosition();
    frame = requestAnimationFrame(tick);
  };

  const say = (text = engine?.isMixing === false ? TOO_LONG : "") => {
    message = text;
    draw();
  };
  const trouble = (/** @type {any} */ error) => say(`${error.message} ${error.hint ?? ""}`);

  const drawPosition = () => {
    const all = duration();
    const words = `${length(position())} / ${length(all || null)}`;
    if (clock.textContent !== words) clock.textContent = words;
    slider.max = String(all || 1);
    slider.value = String(position());
    slider.setAttribute("aria-valuetext", words.replace("/", "of"));
    for (const wave of waves) wave.progress(all ? position() / all : 0);
  };

  const row = (/** @type {Stem} */ stem, /** @type {number} */ index) => {
    const setting = settings[index];
    const name = visible(stem.name);
    const flip = (/** @type {"solo" | "muted"} */ what, /** @type {string} */ label) =>
      button(label, () => set(index, { [what]: !setting[what] }), "small", { key: label, "aria-label": `${label} ${name}`, "aria-pressed": String(setting[what]) });
    return h(
      `li.stem.hue-${index % HUES}.${!hearsOriginal && isHeard(setting, settings) ? "" : "is-silent"}`,
      h("span.stem-name", index < 9 && h("kbd", { "aria-hidden": "true" }, index + 1), h("bdi", name)),
      h("span.bar", flip("solo", "Solo"), flip("muted", "Mute")),
      h("input", { ...SCALE, value: setting.volume, "aria-label": `Volume of ${name}`, oninput: ({ target }) => set(index, { volume: Number(target.value) }) }),
      waves[index].canvas,
    );
  };

  const draw = () => {
    const isStopped = !engine || engine.state === "stopped";
    const { from, to } = loop ?? { from: 0, to: 0 };
    const share = (/** @type {number} */ seconds) => `${(seconds / (duration() || 1)) * 100}%`;
    show(
      element,
      h(
        "div.bar",
        button([icon(isStopped ? "play" : "pause"), isStopped ? "Play" : "Pause"], toggle, "play.primary"),
        clock,
        h("span.seek", h("span.loop-mark", { hidden: !loop, style: { left: share(from), width: share(to - from) } }), slider),
        button("Original", compare, "", { hidden: !canCompare(), "aria-pressed": String(hearsOriginal) }),
        button([icon("loop"), hasLoopEnd ? "End loop" : loop ? "Loop to here" : "Loop from here"], cycleLoop, "", { key: "loop", "aria-pressed": String(hasLoopEnd) }),
        h("span.bar.volume", icon("volume"), h("input", { ...SCALE, value: volume, "aria-label": "Volume", oninput: ({ target }) => ((volume = Number(target.value)), apply()) })),
      ),
      h("ol", stems.map(row)),
      h("p.hint", { role: "status" }, message),
      h("p.keys.hint", KEYS.slice(0, original ? KEYS.length : -3).map((part) => (/ |–/.test(part) ? part : h("kbd", part)))),
    );
    drawPosition();
  };

  /** Whether the key was one of the player's: not while something is typed, and no key that the focused control uses. @type {(event: KeyboardEvent) => boolean} */
  const onKey = ({ target, ctrlKey, metaKey, altKey, shiftKey, code, key }) => {
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
  };

  document.addEventListener("keydown", (event) => onKey(event) && event.preventDefault(), { signal: closing.signal });
  draw();
  return {
    element,
    toggle,
    close() {
      closing.abort();
      cancelAnimationFrame(frame);
      for (const wave of waves) wave.close();
      engine?.close();
    },
  };
};
