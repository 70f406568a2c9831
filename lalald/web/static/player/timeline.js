// Plays several sources in step: every stretch of all of them starts at the same frame of the context's clock.
// Positions are in seconds; inside they are whole frames, so stretches join without a gap.

/** @typedef {{source: Source, output: AudioNode, lag: number}} Line */

const STRETCH_SECONDS = 5;
const AHEAD_SECONDS = 12;
const START_SECONDS = 0.06; // between the last source's arrival and the first sound
const FADE_SECONDS = 0.008; // against clicks
const RETRY_MS = 2000;

export class Timeline extends EventTarget {
  /** @type {Stretch[]} */
  #stretches = [];
  /** @type {AudioBufferSourceNode[]} */
  #nodes = [];
  #run = 0;
  #position = 0;
  #ahead;
  /** @type {(() => void) | null} */
  #wake = null;
  /** @type {{from: number, to: number} | null} */
  loop = null;

  /**
   * @param {BaseAudioContext} context
   * @param {Line[]} lines  `lag`: seconds by which the source's sound comes later than the others'
   * @param {GainNode} master  faded at each start and stop
   * @param {number} [ahead]  seconds that are scheduled in advance
   */
  constructor(context, lines, master, ahead = AHEAD_SECONDS) {
    super();
    this.context = context;
    this.lines = lines;
    this.master = master;
    this.duration = Math.max(0, ...lines.map(({ source, lag }) => source.duration - lag));
    this.state = /** @type {"stopped" | "loading" | "playing" | "stalled"} */ ("stopped");
    this.#ahead = ahead;
  }

  get position() {
    const now = this.context.currentTime * this.context.sampleRate;
    const current = this.#stretches.findLast((stretch) => stretch.at <= now);
    if (this.state === "stopped" || !current) return this.#position;
    return Math.min(current.from + now - current.at, current.to) / this.context.sampleRate;
  }

  /** Starts at a position, or goes on from it. The promise ends when all is scheduled or the run is over. @param {number} position */
  start(position) {
    this.stop();
    this.#position = Math.min(Math.max(0, position), this.duration);
    this.#become("loading");
    return this.#schedule(++this.#run, Math.round(this.#position * this.context.sampleRate));
  }

  stop() {
    this.#position = this.position;
    this.#run++;
    this.#wake?.();
    this.#silence();
    this.#stretches = [];
    this.#become("stopped");
  }

  /** Goes to a position, and on from there if it plays. @param {number} position */
  move(position) {
    if (this.state === "stopped") this.#position = Math.min(Math.max(0, position), this.duration);
    else void this.start(position);
  }

  /** Starts again where it is, with what has changed. */
  refresh() {
    if (this.state !== "stopped") void this.start(this.position);
  }

  /** @param {number} run @param {number} from */
  async #schedule(run, from) {
    const { context } = this;
    const rate = context.sampleRate;
    /** @type {number | null} */
    let at = null;
    for (let stretch = this.#cut(from); stretch; stretch = this.#cut(this.#after(stretch.to))) {
      const parts = await this.#load(run, stretch.from / rate, stretch.to / rate);
      if (run !== this.#run) return;
      const now = Math.ceil(context.currentTime * rate);
      const isLate = at === null || at < now;
      const begin = /** @type {number} */ (isLate ? (context instanceof OfflineAudioContext ? now : now + Math.ceil(START_SECONDS * rate)) : at);
      if (isLate) this.#fadeIn(begin / rate, stretch.from > 0 || at !== null);
      for (const [line, found] of parts.entries()) this.#place(line, found, begin / rate);
      this.#stretches.push({ ...stretch, at: begin });
      this.#become("playing");
      at = begin + stretch.to - stretch.from;
      if (context instanceof OfflineAudioContext && at >= context.length) return;
      await this.#rest(run, at / rate - this.#ahead);
      if (run !== this.#run) return;
    }
    await this.#rest(run, (at ?? 0) / rate);
    if (run === this.#run && !(context instanceof OfflineAudioContext)) this.#finish();
  }

  #finish() {
    this.stop();
    this.#position = 0;
    this.dispatchEvent(new Event("ended"));
  }

  /** The stretch from a frame to the next border, the loop's end or the end of the music. @param {number} from */
  #cut(from) {
    const rate = this.context.sampleRate;
    const border = (Math.floor(from / (STRETCH_SECONDS * rate)) + 1) * STRETCH_SECONDS * rate;
    const loopEnd = this.loop ? Math.round(this.loop.to * rate) : Infinity;
    const to = Math.min(border, from < loopEnd ? loopEnd : Infinity, Math.ceil(this.duration * rate));
    return to > from ? { at: 0, from, to } : null;
  }

  /** Where the music goes on after a frame. @param {number} frame */
  #after(frame) {
    const rate = this.context.sampleRate;
    return this.loop && frame === Math.min(Math.round(this.loop.to * rate), Math.ceil(this.duration * rate)) ? Math.round(this.loop.from * rate) : frame;
  }

  /** All parts of a stretch; where they cannot be had, tried again until they can. @param {number} run @param {number} from @param {number} to */
  async #load(run, from, to) {
    for (;;) {
      try {
        return await Promise.all(this.lines.map(({ source, lag }) => source.load(from + lag, to + lag)));
      } catch (error) {
        if (run !== this.#run) return [];
        if (this.context instanceof OfflineAudioContext) throw error;
        this.#become("stalled");
        this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
        await this.#pause(RETRY_MS);
        if (run !== this.#run) return [];
      }
    }
  }

  /** @param {number} line @param {Part[]} parts @param {number} at */
  #place(line, parts, at) {
    const hair = 0.1 / this.context.sampleRate;
    for (const part of parts) {
      const node = this.context.createBufferSource();
      node.buffer = part.buffer;
      node.connect(this.lines[line].output);
      node.start(at + part.delay, part.offset, part.duration - hair); // a rounded-up end would sound into the next stretch
      node.onended = () => {
        node.disconnect();
        this.#nodes = this.#nodes.filter((other) => other !== node);
      };
      this.#nodes.push(node);
    }
  }

  /** @param {number} at @param {boolean} isGentle */
  #fadeIn(at, isGentle) {
    const gain = this.master.gain;
    gain.cancelScheduledValues(at);
    gain.setValueAtTime(isGentle ? 0 : 1, at);
    if (isGentle) gain.linearRampToValueAtTime(1, at + FADE_SECONDS);
  }

  #silence() {
    const now = this.context.currentTime;
    const gain = this.master.gain;
    if (this.#nodes.length) {
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    }
    for (const node of this.#nodes) node.stop(now + FADE_SECONDS);
    this.#nodes = [];
  }

  /** Waits until the context's clock has reached a moment. @param {number} run @param {number} moment */
  async #rest(run, moment) {
    while (run === this.#run && this.context.currentTime < moment && !(this.context instanceof OfflineAudioContext)) {
      await this.#pause(Math.min(1000, Math.max(20, (moment - this.context.currentTime) * 1000)));
    }
  }

  /** @param {number} milliseconds */
  #pause(milliseconds) {
    return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** @param {Timeline["state"]} state */
  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
