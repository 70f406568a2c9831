// The graph: a gain node per stem and one for the original, into one output.

import { gains, initialSetting, loudness } from "./levels.js";
import { Timeline } from "./timeline.js";

const GLIDE_SECONDS = 0.015;

export class Mixer {
  /**
   * @param {BaseAudioContext} context
   * @param {Source[]} stems
   * @param {{source: Source, lag: number} | null} [original]
   * @param {number} [ahead]
   */
  constructor(context, stems, original = null, ahead = undefined) {
    this.context = context;
    this.settings = stems.map(initialSetting);
    this.originalHeard = false;
    this.volume = 1;
    this.master = context.createGain();
    const output = context.createGain();
    this.master.connect(output).connect(context.destination);
    this.output = output;
    this.gains = [...stems, ...(original ? [original.source] : [])].map(() => context.createGain());
    for (const node of this.gains) node.connect(this.master);
    const lines = stems.map((source, index) => ({ source, output: this.gains[index], lag: 0 }));
    if (original) lines.push({ ...original, output: this.gains[stems.length] });
    this.hasOriginal = original !== null;
    this.timeline = new Timeline(context, lines, this.master, ahead);
    this.apply(true);
  }

  /** @param {number} stem @param {Partial<Setting>} changes */
  set(stem, changes) {
    Object.assign(this.settings[stem], changes);
    this.apply();
  }

  /** @param {boolean} heard */
  hearOriginal(heard) {
    this.originalHeard = heard && this.hasOriginal;
    this.apply();
  }

  /** @param {number} volume  0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    this.apply();
  }

  /** @param {boolean} [atOnce]  else within 15 ms, which does not click */
  apply(atOnce = false) {
    const wanted = gains(this.settings, this.originalHeard);
    if (this.hasOriginal) wanted.push(this.originalHeard ? 1 : 0);
    for (const [index, gain] of wanted.entries()) this.#glide(this.gains[index].gain, gain, atOnce);
    this.#glide(this.output.gain, loudness(this.volume), atOnce);
  }

  /** @param {AudioParam} param @param {number} value @param {boolean} atOnce */
  #glide(param, value, atOnce) {
    const now = this.context.currentTime;
    param.cancelScheduledValues(now);
    if (atOnce || now === 0) param.setValueAtTime(value, now);
    else param.setTargetAtTime(value, now, GLIDE_SECONDS / 3);
  }
}
