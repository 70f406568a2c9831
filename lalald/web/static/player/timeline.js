// Plays several sources in step: every stretch of all of them starts at the same frame of the context's clock.
// Positions are in seconds; inside they are whole frames, so stretches join without a gap.

const STRETCH_SECONDS = 5;
const AHEAD_SECONDS = 12;
const START_SECONDS = 0.06; // between the last source's arrival and the first sound
const FADE_SECONDS = 0.008; // against clicks
const RETRY_MS = 2000;

/** Events: `state`, `ended`, `trouble`. */
export class Timeline extends EventTarget {
  /** In frames of the context's clock (`at`) and of the music. @type {{at: number, from: number, to: number}[]} */
  #stretches = [];
  /** @type {Set<AudioBufferSourceNode>} */
  #nodes = new Set();
  #run = 0;
  #position = 0;
  #wake = () => {};
  /** @type {Loop | null} */
  loop = null;
  /** @type {Engine["state"]} */
  state = "stopped";

  /** @param {BaseAudioContext} context @param {Line[]} lines @param {GainNode} master faded at each start and stop @param {number} [ahead] seconds that are scheduled in advance */
  constructor(context, lines, master, ahead = AHEAD_SECONDS) {
    super();
    this.context = context;
    this.lines = lines;
    this.master = master;
    this.ahead = ahead;
    this.rate = context.sampleRate;
    this.isOffline = context instanceof OfflineAudioContext;
    this.duration = Math.max(0, ...lines.map(({ source, lag }) => source.duration - lag));
  }

  get position() {
    const now = this.context.currentTime * this.rate;
    const current = this.#stretches.findLast(({ at }) => at <= now);
    return this.state === "stopped" || !current ? this.#position : Math.min(current.from + now - current.at, current.to) / this.rate;
  }

  /** The promise ends when all is scheduled or the run is over. @param {number} position */
  start(position) {
    this.stop();
    this.move(position);
    this.#become("loading");
    return this.#schedule(++this.#run, Math.round(this.#position * this.rate));
  }

  stop() {
    this.#position = this.position;
    this.#run++;
    this.#wake();
    this.#silence();
    this.#stretches = [];
    this.#become("stopped");
  }

  /** Goes to a position, and on from there if it plays. @param {number} position */
  move(position) {
    if (this.state === "stopped") this.#position = Math.min(Math.max(0, position), this.duration);
    else void this.start(position);
  }

  /** @param {number} run @param {number} from */
  async #schedule(run, from) {
    const { context, rate } = this;
    let at = -1;
    for (let stretch = this.#cut(from); stretch; stretch = this.#cut(this.#after(stretch.to))) {
      const parts = await this.#load(run, stretch.from / rate, stretch.to / rate);
      if (run !== this.#run) return;
      const now = Math.ceil(context.currentTime * rate);
      if (at < now) {
        const isGentle = stretch.from > 0 || at >= 0;
        at = this.isOffline ? now : now + Math.ceil(START_SECONDS * rate);
        this.#fadeIn(at / rate, isGentle);
      }
      for (const [line, found] of parts.entries()) this.#place(line, found, at / rate);
      this.#stretches.push({ ...stretch, at });
      this.#become("playing");
      at += stretch.to - stretch.from;
      if (this.isOffline && at >= /** @type {OfflineAudioContext} */ (context).length) return;
      await this.#rest(run, at / rate - this.ahead);
      if (run !== this.#run) return;
    }
    await this.#rest(run, at / rate);
    if (run !== this.#run || this.isOffline) return;
    this.stop();
    this.#position = 0;
    this.dispatchEvent(new Event("ended"));
  }

  /** The frame after the music, and the one after the loop. */
  get #ends() {
    const end = Math.ceil(this.duration * this.rate);
    return [end, this.loop ? Math.min(Math.round(this.loop.to * this.rate), end) : Infinity];
  }

  /** The stretch from a frame to the next border, the loop's end or the end of the music. @param {number} from */
  #cut(from) {
    const [end, loopEnd] = this.#ends;
    const length = STRETCH_SECONDS * this.rate;
    const to = Math.min((Math.floor(from / length) + 1) * length, from < loopEnd ? loopEnd : Infinity, end);
    return to > from ? { from, to } : null;
  }

  /** Where the music goes on after a frame. @param {number} frame */
  #after(frame) {
    return this.loop && frame === this.#ends[1] ? Math.round(this.loop.from * this.rate) : frame;
  }

  /** All parts of a stretch; tried again until they are there. @param {number} run @param {number} from @param {number} to @returns {Promise<Part[][]>} */
  async #load(run, from, to) {
    try {
      return await Promise.all(this.lines.map(({ source, lag }) => source.load(from + lag, to + lag)));
    } catch (error) {
      if (run !== this.#run) return [];
      if (this.isOffline) throw error;
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
      this.#become("stalled");
      await this.#pause(RETRY_MS);
      return run === this.#run ? this.#load(run, from, to) : [];
    }
  }

  /** @param {number} line @param {Part[]} parts @param {number} at */
  #place(line, parts, at) {
    const hair = 0.1 / this.rate; // a rounded-up end would sound into the next stretch
    for (const { buffer, delay, offset, duration } of parts) {
      const node = this.context.createBufferSource();
      node.buffer = buffer;
      node.connect(this.lines[line].output);
      node.start(at + delay, offset, duration - hair);
      node.onended = () => {
        node.disconnect();
        this.#nodes.delete(node);
      };
      this.#nodes.add(node);
    }
  }

  /** @param {number} at @param {boolean} isGentle */
  #fadeIn(at, isGentle) {
    const { gain } = this.master;
    gain.cancelScheduledValues(at);
    gain.setValueAtTime(isGentle ? 0 : 1, at);
    if (isGentle) gain.linearRampToValueAtTime(1, at + FADE_SECONDS);
  }

  #silence() {
    const now = this.context.currentTime;
    const { gain } = this.master;
    if (!this.#nodes.size) return;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    for (const node of this.#nodes) node.stop(now + FADE_SECONDS);
    this.#nodes.clear();
  }

  /** Until the context's clock has reached a moment. @param {number} run @param {number} moment */
  async #rest(run, moment) {
    while (run === this.#run && this.context.currentTime < moment && !this.isOffline) {
      await this.#pause(Math.min(1000, Math.max(20, (moment - this.context.currentTime) * 1000)));
    }
  }

  /** @param {number} milliseconds */
  async #pause(milliseconds) {
    await new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      this.#wake = () => resolve(null);
    });
  }

  /** @param {Timeline["state"]} state */
  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
