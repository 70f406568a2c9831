// A gain node per stem and one for the original, into one output.

import { Timeline } from "./timeline.js";

const GLIDE_SECONDS = 0.015;

/** @returns {Setting} */
export const initialSetting = () => ({ volume: 1, muted: false, solo: false });

/** Solo wins over mute, as on every mixing desk. @param {Setting} setting @param {Setting[]} all */
export const isHeard = (setting, all) => (all.some(({ solo }) => solo) ? setting.solo : !setting.muted);

/** A fader feels even when its square is the gain. @param {number} volume  0 to 1 */
export const loudness = (volume) => volume * volume;

/** Plays all stems in step. @implements {Engine} */
export class Mixer {
  isMixing = true;

  /**
   * @param {BaseAudioContext} context @param {Source[]} stems @param {{source: Source, lag: number} | null} [original]
   * @param {(Peaks | null)[]} [peaks] @param {number} [ahead]
   */
  constructor(context, stems, original = null, peaks = [], ahead) {
    this.context = context;
    this.hasOriginal = original !== null;
    this.peaks = peaks;
    const master = context.createGain(); // fades starts and stops; the volume is the output's
    this.output = context.createGain();
    master.connect(this.output).connect(context.destination);
    const lines = [...stems.map((source) => ({ source, lag: 0 })), ...(original ? [original] : [])].map((line) => ({ ...line, output: context.createGain() }));
    for (const { output } of lines) output.connect(master);
    this.gains = lines.map(({ output }) => output.gain);
    this.timeline = new Timeline(context, lines, master, ahead);
    this.apply(stems.map(initialSetting), 1, false);
  }

  get duration() {
    return this.timeline.duration;
  }

  get position() {
    return this.timeline.position;
  }

  get state() {
    return this.timeline.state;
  }

  async play(position = this.position) {
    if (this.context instanceof AudioContext) await this.context.resume();
    void this.timeline.start(position);
  }

  pause() {
    this.timeline.stop();
  }

  /** @param {number} position */
  seek(position) {
    this.timeline.move(position);
  }

  /** @param {Loop | null} loop */
  setLoop(loop) {
    this.timeline.loop = loop;
    if (this.state !== "stopped") this.seek(this.position);
  }

  /** While the original is heard, every stem is silent. @param {Setting[]} settings @param {number} volume @param {boolean} originalHeard */
  apply(settings, volume, originalHeard) {
    const hearsOriginal = originalHeard && this.hasOriginal;
    const gains = settings.map((setting) => (isHeard(setting, settings) && !hearsOriginal ? loudness(setting.volume) : 0));
    for (const [index, param] of this.gains.entries()) this.#glide(param, gains[index] ?? Number(hearsOriginal));
    this.#glide(this.output.gain, loudness(volume));
  }

  close() {
    this.pause();
    if (this.context instanceof AudioContext) void this.context.close();
  }

  /** Within 15 ms, which does not click. @param {AudioParam} param @param {number} value */
  #glide(param, value) {
    const now = this.context.currentTime;
    param.cancelScheduledValues(now);
    if (now === 0) param.setValueAtTime(value, now);
    else param.setTargetAtTime(value, now, GLIDE_SECONDS / 3);
  }
}
