// What plays: a mixer of all stems, or one <audio> element where the stems are too long to be decoded.

import { ApiError, request } from "../api.js";
import { lagOf } from "./align.js";
import { loudness, Mixer } from "./mixer.js";
import { contextFor, fits, openSource } from "./sources.js";

/** @param {Stem[]} stems @param {Stem | null} original @param {number | null} seconds @param {Reports} reports @param {AbortSignal} signal @returns {Promise<Engine>} */
export async function openEngine(stems, original, seconds, reports, signal) {
  if (!fits(stems, seconds)) return new Single(stems, original, reports);
  const context = await contextFor(stems);
  try {
    const shares = stems.map(() => 0);
    const progress = (/** @type {number} */ index) => (/** @type {number} */ share) => reports.progress(((shares[index] = share), shares.reduce((sum, one) => sum + one) / stems.length));
    const opened = await Promise.all(stems.map((stem, index) => openSource(context, stem, progress(index), reports.peaks, signal)));
    const sources = opened.map(({ source }) => source);
    const isFitting = original && fits([...stems, original], seconds);
    const beside = isFitting ? await besideOf(context, original, sources, signal).catch(() => null) : null;
    const mixer = new Mixer(context, sources, beside, opened.map(({ peaks }) => peaks));
    for (const type of ["state", "ended"]) mixer.timeline.addEventListener(type, reports.changed);
    mixer.timeline.addEventListener("trouble", (event) => reports.trouble(/** @type {CustomEvent} */ (event).detail));
    return mixer;
  } catch (error) {
    void context.close();
    throw error;
  }
}

/** @param {AudioContext} context @param {Stem} original @param {Source[]} stems @param {AbortSignal} signal */
async function besideOf(context, original, stems, signal) {
  const { source } = await openSource(context, original, () => {}, () => {}, signal);
  return { source, lag: await lagOf(stems, source, context.sampleRate) };
}

/** One stem is heard at a time. @implements {Engine} */
class Single {
  isMixing = false;
  #audio = new Audio();
  #heard = -1;
  /** @type {Loop | null} */
  #loop = null;

  /** @param {Stem[]} stems @param {Stem | null} original @param {Reports} reports */
  constructor(stems, original, reports) {
    this.hasOriginal = original !== null;
    this.files = original ? [...stems, original] : stems;
    this.peaks = stems.map(() => null);
    this.reports = reports;
    const audio = this.#audio;
    for (const type of ["play", "playing", "pause", "waiting", "ended", "durationchange"]) audio.addEventListener(type, reports.changed);
    audio.onerror = () => this.#explain();
    audio.ontimeupdate = () => {
      if (this.#loop && audio.currentTime >= this.#loop.to) audio.currentTime = this.#loop.from;
    };
    this.#switchTo(0);
  }

  get duration() {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : 0;
  }

  get position() {
    return this.#audio.currentTime;
  }

  get state() {
    return this.#audio.paused ? "stopped" : this.#audio.readyState < 3 ? "loading" : "playing";
  }

  async play(position = this.position) {
    if (this.#audio.error) this.#open(this.#heard, position);
    else if (position !== this.position) this.seek(position);
    await this.#audio.play();
  }

  pause() {
    this.#audio.pause();
  }

  /** @param {number} position */
  seek(position) {
    this.#audio.currentTime = position;
  }

  /** @param {Loop | null} loop */
  setLoop(loop) {
    this.#loop = loop;
  }

  /** @param {Setting[]} settings @param {number} volume @param {boolean} originalHeard */
  apply(settings, volume, originalHeard) {
    const index = Math.max(0, settings.findIndex(({ solo }) => solo));
    const hearsOriginal = originalHeard && this.hasOriginal;
    this.#switchTo(hearsOriginal ? settings.length : index);
    this.#audio.volume = loudness(volume) * (hearsOriginal ? 1 : settings[index].muted ? 0 : loudness(settings[index].volume));
  }

  close() {
    this.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
  }

  /** At the same position. @param {number} index */
  #switchTo(index) {
    if (index === this.#heard) return;
    const { currentTime, paused } = this.#audio;
    this.#open(index, currentTime);
    if (!paused) void this.#audio.play().catch(() => {}); // its error is reported by the element
  }

  /** @param {number} index @param {number} position */
  #open(index, position) {
    this.#heard = index;
    this.#audio.src = this.files[index].url;
    this.#audio.currentTime = position;
  }

  /** The element does not say why: its file is gone, the session is over, or the browser cannot play it. */
  async #explain() {
    const { name, url } = this.files[this.#heard];
    const error = await request(url, { headers: { Range: "bytes=0-0" } }).then(() => new ApiError(`This browser cannot play ${name}.`, "Download it instead."), (refusal) => refusal);
    this.reports.trouble(error);
  }
}
