// The player as it is seen and worked: one row a stem, a position for all of them.

import { h } from "../dom.js";
import { length, visible } from "../format.js";
import { button, icon } from "../ui.js";
import { openEngine } from "./engines.js";
import { initialSetting, isHeard } from "./mixer.js";
import { Waveform } from "./waveform.js";

const HUES = 6;
const SKIP_SECONDS = 5;
const LEAST_LOOP_SECONDS = 0.25;
const SCALE = { type: "range", min: "0", max: "1", step: "0.01", value: "1" };

export class Player {
  /** @type {Engine | null} */
  #engine = null;
  #closing = new AbortController();
  #isOpening = false;
  #originalHeard = false;
  #volume = 1;
  #frame = 0;
  /** Until its end is known both are its start. @type {Loop | null} */
  #loop = null;
  #hasLoopEnd = false;

  /** @param {Stem[]} stems @param {Stem | null} original @param {number | null} seconds @param {string} key */
  constructor(stems, original, seconds, key) {
    this.stems = stems;
    this.original = original;
    this.seconds = seconds;
    this.settings = stems.map(initialSetting);
    this.rows = stems.map((stem, index) => this.#row(stem, index));
    this.playButton = button("", () => this.toggle(), "play.primary");
    this.clock = h("span.clock.facts");
    this.slider = h("input.position", { ...SCALE, max: String(seconds ?? 1), step: "0.1", value: "0", "aria-label": "Position", oninput: (event) => this.seek(Number(event.target.value)) });
    this.loopButton = button("", () => this.cycleLoop());
    this.loopMark = h("span.loop-mark");
    this.compareButton = button("Original", () => this.compare(), "", { hidden: !original });
    const volume = h("input", { ...SCALE, "aria-label": "Volume", oninput: (event) => ((this.#volume = Number(event.target.value)), this.#apply()) });
    this.message = h("p.hint", { role: "status" });
    const keys = [["Space"], " play, ", ["←"], " ", ["→"], ` ${SKIP_SECONDS} s, `, ["1"], "–", ["9"], " solo, with ", ["Shift"], " mute, ", ["L"], " loop", ...(original ? [", ", ["O"], " original"] : [])];
    this.element = h(
      "section.player",
      { "aria-label": "Player", key },
      h("div.bar", this.playButton, this.clock, h("span.seek", this.loopMark, this.slider), this.compareButton, this.loopButton, h("span.bar.volume", icon("volume"), volume)),
      h("ol", this.rows.map(({ element }) => element)),
      this.message,
      h("p.keys.hint", keys.map((part) => (Array.isArray(part) ? h("kbd", part) : part))),
    );
    document.addEventListener("keydown", (event) => this.#onKey(event) && event.preventDefault(), { signal: this.#closing.signal });
    this.#draw();
  }

  get position() {
    return this.#engine?.position ?? Number(this.slider.value);
  }

  get duration() {
    return this.#engine?.duration || this.seconds || 0;
  }

  close() {
    this.#closing.abort();
    cancelAnimationFrame(this.#frame);
    for (const { waveform } of this.rows) waveform.close();
    this.#engine?.close();
  }

  async toggle() {
    await this.#open();
    if (!this.#engine) return;
    if (this.#engine.state !== "stopped") this.#engine.pause();
    else await this.#engine.play().then(() => this.#say(), this.#trouble);
    this.#draw();
  }

  /** @param {number} position */
  seek(position) {
    const wanted = Math.max(0, Math.min(this.duration, position));
    this.slider.value = String(wanted);
    this.#engine?.seek(wanted);
    this.#draw();
  }

  /** @param {number} stem @param {Partial<Setting>} changes */
  set(stem, changes) {
    const isSingle = this.#engine && !this.#engine.isMixing;
    if (changes.solo && isSingle) for (const setting of this.settings) setting.solo = false;
    Object.assign(this.settings[stem], changes);
    this.#originalHeard = false;
    this.#apply();
  }

  /** Hears the original instead of the stems, or the stems again. */
  compare() {
    this.#originalHeard = !this.#originalHeard && !this.compareButton.hidden;
    this.#apply();
  }

  /** Sets where a loop starts, then where it ends, then ends it. */
  cycleLoop() {
    const at = this.position;
    if (!this.#loop) this.#loop = { from: at, to: at };
    else if (this.#hasLoopEnd) this.#setLoop(null);
    else this.#setLoop({ from: Math.min(this.#loop.from, at), to: Math.max(this.#loop.from, at) });
    this.#draw();
  }

  /** @param {Loop | null} loop */
  #setLoop(loop) {
    this.#loop = loop && loop.to - loop.from >= LEAST_LOOP_SECONDS ? loop : null;
    this.#hasLoopEnd = this.#loop !== null;
    this.#engine?.setLoop(this.#loop);
    if (this.#loop) this.seek(this.#loop.from);
  }

  async #open() {
    if (this.#engine || this.#isOpening) return;
    this.#isOpening = true;
    this.#say("Loading the stems …");
    const reports = {
      progress: (/** @type {number} */ share) => this.#say(share < 1 ? `Loading the stems, ${Math.round(share * 100)} %` : "Preparing …"),
      peaks: () => this.rows.forEach(({ waveform }) => waveform.redraw()),
      changed: () => {
        if (this.#engine?.isMixing && this.#engine.state === "playing") this.#say();
        this.#draw();
      },
      trouble: this.#trouble,
    };
    try {
      const engine = await openEngine(this.stems, this.original, this.seconds, reports, this.#closing.signal);
      if (this.#closing.signal.aborted) engine.close();
      else this.#ready(engine);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#trouble(error);
    }
    this.#isOpening = false;
  }

  /** @param {Engine} engine */
  #ready(engine) {
    this.#engine = engine;
    const start = Number(this.slider.value);
    for (const [index, { waveform }] of this.rows.entries()) waveform.peaks = engine.peaks[index];
    this.compareButton.hidden = !engine.hasOriginal;
    if (!engine.isMixing) this.settings.forEach((setting, index) => (setting.solo = index === Math.max(0, this.settings.findIndex(({ solo }) => solo))));
    if (start > 0) engine.seek(start);
    if (this.#hasLoopEnd) engine.setLoop(this.#loop);
    this.#say();
    this.#apply();
    for (const { waveform } of this.rows) waveform.redraw();
    this.#tick();
  }

  #apply() {
    this.#engine?.apply(this.settings, this.#volume, this.#originalHeard);
    this.#draw();
  }

  #tick = () => {
    if (this.#engine?.state !== "stopped") this.#drawPosition();
    this.#frame = requestAnimationFrame(this.#tick);
  };

  #drawPosition() {
    const { position, duration } = this;
    const words = `${length(position)} / ${length(duration || null)}`;
    if (this.clock.textContent !== words) this.clock.textContent = words;
    this.slider.max = String(duration || 1);
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", words.replace("/", "of"));
    for (const { waveform } of this.rows) waveform.progress(duration ? position / duration : 0);
  }

  #draw() {
    const isStopped = !this.#engine || this.#engine.state === "stopped";
    this.playButton.replaceChildren(icon(isStopped ? "play" : "pause"), isStopped ? "Play" : "Pause");
    this.loopButton.replaceChildren(icon("loop"), this.#hasLoopEnd ? "End loop" : this.#loop ? "Loop to here" : "Loop from here");
    press(this.compareButton, this.#originalHeard);
    press(this.loopButton, this.#hasLoopEnd);
    this.loopMark.hidden = !this.#loop;
    const { from, to } = this.#loop ?? { from: 0, to: 0 };
    Object.assign(this.loopMark.style, { left: `${(from / this.duration) * 100}%`, width: `${((to - from) / this.duration) * 100}%` });
    for (const [index, { element, mute, solo }] of this.rows.entries()) {
      const setting = this.settings[index];
      press(mute, setting.muted);
      press(solo, setting.solo);
      element.classList.toggle("is-silent", this.#originalHeard || !isHeard(setting, this.settings));
    }
    this.#drawPosition();
  }

  /** @param {Stem} stem @param {number} index */
  #row(stem, index) {
    const name = visible(stem.name);
    const flip = (/** @type {"muted" | "solo"} */ what) => this.set(index, { [what]: !this.settings[index][what] });
    const mute = button("Mute", () => flip("muted"), "small", { "aria-label": `Mute ${name}` });
    const solo = button("Solo", () => flip("solo"), "small", { "aria-label": `Solo ${name}` });
    const volume = h("input", { ...SCALE, "aria-label": `Volume of ${name}`, oninput: (event) => this.set(index, { volume: Number(event.target.value) }) });
    const onpointerdown = (/** @type {PointerEvent} */ { button, offsetX }) => button === 0 && this.seek((offsetX / canvas.clientWidth) * this.duration);
    /** @type {HTMLCanvasElement} */
    const canvas = h("canvas", { "aria-hidden": "true", onpointerdown });
    const title = h("span.stem-name", index < 9 && h("kbd", { "aria-hidden": "true" }, index + 1), h("bdi", name));
    return { element: h(`li.stem.hue-${index % HUES}`, title, h("span.bar", solo, mute), volume, canvas), mute, solo, waveform: new Waveform(canvas) };
  }

  /** Whether the key was one of the player's: not while something is typed, and no key that the focused control uses. @param {KeyboardEvent} event */
  #onKey({ target, ctrlKey, metaKey, altKey, shiftKey, code, key }) {
    const focused = /** @type {HTMLElement} */ (target);
    if (ctrlKey || metaKey || altKey || document.querySelector("dialog[open]") || focused.matches("input:not([type=range]), select, textarea")) return false;
    const stem = Number(/^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1] ?? 0) - 1;
    if (this.settings[stem]) this.set(stem, shiftKey ? { muted: !this.settings[stem].muted } : { solo: !this.settings[stem].solo });
    else if (key === " " && !focused.closest("button, a, summary, input")) void this.toggle();
    else if (key.startsWith("Arrow") && /Left|Right/.test(key) && !focused.matches("input")) this.seek(this.position + (key === "ArrowLeft" ? -SKIP_SECONDS : SKIP_SECONDS));
    else if (key.toLowerCase() === "l") this.cycleLoop();
    else if (key.toLowerCase() === "o") this.compare();
    else return false;
    return true;
  }

  #trouble = (/** @type {any} */ error) => this.#say(`${error.message} ${error.hint ?? ""}`);

  #say(text = this.#engine?.isMixing === false ? "These stems are too long to be decoded at once, so one is heard at a time. Choose it with Solo." : "") {
    this.message.textContent = text;
  }
}

/** @param {HTMLElement} button @param {boolean} isOn */
const press = (button, isOn) => button.setAttribute("aria-pressed", String(isOn));
