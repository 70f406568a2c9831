// The player as it is seen and worked: one row a stem, a position for all of them.

import { h } from "../dom.js";
import { length } from "../format.js";
import { icon } from "../icons.js";
import { openEngine } from "./engines.js";
import { initialSetting } from "./levels.js";
import { onKeys } from "./keys.js";
import { stemRow } from "./stem_row.js";

const SKIP_SECONDS = 5;
const LEAST_LOOP_SECONDS = 0.25;

export class Player {
  /** @type {import("./engines.js").Engine | null} */
  #engine = null;
  #closing = new AbortController();
  #isOpening = false;
  #originalHeard = false;
  #volume = 1;
  /** @type {number | null} */
  #loopStart = null;
  /** @type {{from: number, to: number} | null} */
  #loop = null;
  #frame = 0;

  /** @param {Stem[]} stems @param {Stem | null} original @param {number | null} seconds */
  constructor(stems, original, seconds) {
    this.stems = stems;
    this.original = original;
    this.seconds = seconds;
    this.settings = stems.map(initialSetting);
    this.rows = stems.map((stem, index) => stemRow(stem, index, this));
    this.playButton = h("button", { type: "button", class: "play primary", on: { click: () => void this.toggle() } }, icon("play"), h("span", null, "Play"));
    this.clock = h("span", { class: "clock" }, `0:00 / ${length(seconds)}`);
    this.slider = h("input", { type: "range", class: "position", min: "0", max: String(seconds ?? 1), step: "0.1", value: "0", "aria-label": "Position", on: { input: () => this.seek(Number(this.slider.value)) } });
    this.loopButton = h("button", { type: "button", "aria-pressed": "false", on: { click: () => this.cycleLoop() } }, icon("loop"), h("span", null, "Loop from here"));
    this.compareButton = h("button", { type: "button", "aria-pressed": "false", hidden: !original, on: { click: () => this.compare() } }, "Original");
    const volume = h("input", { type: "range", min: "0", max: "1", step: "0.01", value: "1", "aria-label": "Volume", on: { input: () => ((this.#volume = Number(volume.value)), this.#apply()) } });
    this.told = h("p", { class: "told hint", role: "status" });
    this.loopMark = h("span", { class: "loop-mark", hidden: true });
    this.element = h(
      "section",
      { class: "player", "aria-label": "Player", "data-own": true, key: "player" },
      h("div", { class: "transport" }, this.playButton, this.clock, h("div", { class: "seek" }, this.loopMark, this.slider), this.compareButton, this.loopButton, h("span", { class: "volume" }, icon("volume"), volume)),
      h("ol", { class: "stems" }, this.rows.map((row) => row.element)),
      this.told,
      h("p", { class: "keys hint" }, key("Space"), " play, ", key("←"), " ", key("→"), ` ${SKIP_SECONDS} s, `, key("1"), "–", key("9"), " solo, with ", key("Shift"), " mute, ", key("L"), " loop", original ? [", ", key("O"), " original"] : null),
    );
    onKeys(this, this.#closing.signal);
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
    for (const row of this.rows) row.waveform.close();
    this.#engine?.close();
  }

  async toggle() {
    const engine = await this.#open();
    if (!engine) return;
    if (engine.state === "stopped") await engine.play().catch((error) => this.#trouble(error));
    else engine.pause();
    this.#draw();
  }

  /** @param {number} position */
  seek(position) {
    const wanted = Math.max(0, Math.min(this.duration, position));
    this.slider.value = String(wanted);
    this.#engine?.seek(wanted);
    this.#draw();
  }

  /** @param {number} seconds */
  skip(seconds) {
    this.seek(this.position + seconds);
  }

  /** @param {number} stem @param {Partial<Setting>} changes */
  set(stem, changes) {
    if (changes.solo && this.#engine && !this.#engine.isMixing) for (const setting of this.settings) setting.solo = false;
    Object.assign(this.settings[stem], changes);
    if (this.#originalHeard) this.compare();
    this.#apply();
  }

  /** Hears the original instead of the stems, or the stems again. */
  compare() {
    if (!this.original || this.compareButton.hidden) return;
    this.#originalHeard = !this.#originalHeard;
    this.#apply();
  }

  /** Sets where a loop starts, then where it ends, then ends it. */
  cycleLoop() {
    if (this.#loop) this.#setLoop(null);
    else if (this.#loopStart === null) this.#loopStart = this.position;
    else this.#setLoop({ from: Math.min(this.#loopStart, this.position), to: Math.max(this.#loopStart, this.position) });
    this.#draw();
  }

  /** @param {{from: number, to: number} | null} loop */
  #setLoop(loop) {
    this.#loopStart = null;
    this.#loop = loop && loop.to - loop.from >= LEAST_LOOP_SECONDS ? loop : null;
    this.#engine?.setLoop(this.#loop);
    if (this.#loop) this.seek(this.#loop.from);
  }

  async #open() {
    if (this.#engine || this.#isOpening) return this.#engine;
    this.#isOpening = true;
    this.#tell("Loading the stems …");
    try {
      const tell = {
        progress: (/** @type {number} */ share) => this.#tell(share < 1 ? `Loading the stems, ${Math.round(share * 100)} %` : "Preparing …"),
        peaks: () => this.rows.forEach((row) => row.waveform.redraw()),
        changed: () => this.#draw(),
        trouble: (/** @type {Error} */ error) => this.#trouble(error),
      };
      this.#engine = await openEngine(this.stems, this.original, this.seconds, tell, this.#closing.signal);
      this.#ready(this.#engine);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#trouble(/** @type {Error} */ (error));
    }
    this.#isOpening = false;
    return this.#engine;
  }

  /** @param {import("./engines.js").Engine} engine */
  #ready(engine) {
    if (this.#closing.signal.aborted) return engine.close();
    this.slider.max = String(engine.duration || this.seconds || 1);
    for (const [index, row] of this.rows.entries()) row.waveform.peaks = engine.peaks[index];
    for (const row of this.rows) row.waveform.redraw();
    this.compareButton.hidden = !engine.hasOriginal;
    if (!engine.isMixing) this.settings[0].solo = true;
    this.#tell(engine.isMixing ? "" : "These stems are too long to be decoded at once, so one is heard at a time. Choose it with Solo.");
    const start = Number(this.slider.value);
    if (start > 0) engine.seek(start);
    if (this.#loop) engine.setLoop(this.#loop);
    this.#apply();
    this.#tick();
  }

  #apply() {
    this.#engine?.apply(this.settings, this.#volume, this.#originalHeard);
    this.#draw();
  }

  #tick = () => {
    if (this.#engine && this.#engine.state !== "stopped") this.#drawPosition();
    this.#frame = requestAnimationFrame(this.#tick);
  };

  #drawPosition() {
    const [position, duration] = [this.position, this.duration];
    this.clock.textContent = `${length(position)} / ${length(duration)}`;
    if (document.activeElement !== this.slider || this.#engine?.state === "playing") this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", `${length(position)} of ${length(duration)}`);
    for (const row of this.rows) row.waveform.progress(duration ? position / duration : 0);
  }

  #draw() {
    const isStopped = !this.#engine || this.#engine.state === "stopped";
    this.playButton.replaceChildren(icon(isStopped ? "play" : "pause"), h("span", null, isStopped ? "Play" : "Pause"));
    this.compareButton.setAttribute("aria-pressed", String(this.#originalHeard));
    this.loopButton.setAttribute("aria-pressed", String(this.#loop !== null));
    const loop = this.loopButton.lastElementChild;
    if (loop) loop.textContent = this.#loop ? "End loop" : this.#loopStart === null ? "Loop from here" : "Loop to here";
    this.#drawLoop();
    const anySolo = this.settings.some((setting) => setting.solo);
    for (const [index, row] of this.rows.entries()) row.draw(this.settings[index], anySolo, this.#originalHeard);
    this.#drawPosition();
  }

  #drawLoop() {
    const shown = this.#loop ?? (this.#loopStart === null ? null : { from: this.#loopStart, to: this.#loopStart });
    this.loopMark.hidden = shown === null || !this.duration;
    if (!shown) return;
    this.loopMark.style.left = `${(shown.from / this.duration) * 100}%`;
    this.loopMark.style.width = `${((shown.to - shown.from) / this.duration) * 100}%`;
  }

  /** @param {Error} error */
  #trouble(error) {
    this.#tell(`${error.message} ${/** @type {any} */ (error).hint ?? ""}`.trim());
  }

  /** @param {string} text */
  #tell(text) {
    this.told.textContent = text;
  }
}

/** @param {string} name */
const key = (name) => h("kbd", null, name);
