// What plays: a mixer of all stems, or one <audio> element where the stems are too long to be decoded.

import { contextFor, fits, openOriginal, openSource } from "./loading.js";
import { loudness } from "./levels.js";
import { Mixer } from "./mixer.js";

/** @typedef {import("./waveform.js").Peaks} Peaks */

/**
 * @typedef {object} Engine
 * @property {boolean} isMixing  false: one stem is heard at a time
 * @property {boolean} hasOriginal
 * @property {number} duration
 * @property {number} position
 * @property {"stopped" | "loading" | "playing" | "stalled"} state
 * @property {(Peaks | null)[]} peaks
 * @property {(position?: number) => Promise<void>} play
 * @property {() => void} pause
 * @property {(position: number) => void} seek
 * @property {(loop: {from: number, to: number} | null) => void} setLoop
 * @property {(settings: Setting[], volume: number, originalHeard: boolean) => void} apply
 * @property {() => void} close
 */

/**
 * @param {Stem[]} stems @param {Stem | null} original @param {number | null} seconds
 * @param {{progress: (share: number) => void, peaks: () => void, changed: () => void, trouble: (error: Error) => void}} tell
 * @param {AbortSignal} signal
 * @returns {Promise<Engine>}
 */
export async function openEngine(stems, original, seconds, tell, signal) {
  if (!fits(original ? [...stems, original] : stems, seconds)) {
    if (!fits(stems, seconds)) return singleEngine(stems, original, tell);
    original = null;
  }
  const context = await contextFor(stems);
  const shares = stems.map(() => 0);
  const opened = await Promise.all(
    stems.map((stem, index) => openSource(context, stem, (share) => tell.progress(((shares[index] = share), shares.reduce((sum, one) => sum + one, 0) / stems.length)), tell.peaks, signal)),
  ).catch((error) => {
    void context.close();
    throw error;
  });
  const sources = opened.map(({ source }) => source);
  const beside = original && (await openOriginal(context, original, sources, signal).catch(() => null));
  const mixer = new Mixer(context, sources, beside);
  return mixingEngine(context, mixer, opened.map(({ peaks }) => peaks), tell);
}

/** @param {AudioContext} context @param {Mixer} mixer @param {Peaks[]} peaks @param {{changed: () => void, trouble: (error: Error) => void}} tell @returns {Engine} */
function mixingEngine(context, mixer, peaks, tell) {
  const { timeline } = mixer;
  timeline.addEventListener("state", tell.changed);
  timeline.addEventListener("ended", tell.changed);
  timeline.addEventListener("trouble", (event) => tell.trouble(/** @type {CustomEvent} */ (event).detail));
  return {
    isMixing: true,
    hasOriginal: mixer.hasOriginal,
    duration: timeline.duration,
    peaks,
    get position() {
      return timeline.position;
    },
    get state() {
      return timeline.state;
    },
    async play(position) {
      await context.resume();
      void timeline.start(position ?? timeline.position);
    },
    pause: () => timeline.stop(),
    seek: (position) => timeline.move(position),
    setLoop(loop) {
      timeline.loop = loop;
      timeline.refresh();
    },
    apply(settings, volume, originalHeard) {
      Object.assign(mixer, { volume, originalHeard: originalHeard && mixer.hasOriginal });
      for (const [index, setting] of settings.entries()) Object.assign(mixer.settings[index], setting);
      mixer.apply();
    },
    close() {
      timeline.stop();
      void context.close();
    },
  };
}

/** @param {Stem[]} stems @param {Stem | null} original @param {{changed: () => void, trouble: (error: Error) => void}} tell @returns {Engine} */
function singleEngine(stems, original, tell) {
  const audio = new Audio();
  audio.preload = "metadata";
  const all = original ? [...stems, original] : stems;
  /** @type {{from: number, to: number} | null} */
  let loop = null;
  let heard = -1;
  const switchTo = (/** @type {number} */ index) => {
    if (index === heard) return;
    const [position, isPlaying] = [audio.currentTime, !audio.paused];
    heard = index;
    audio.src = all[index].url;
    audio.currentTime = position;
    if (isPlaying) void audio.play().catch(tell.trouble);
  };
  switchTo(0);
  for (const type of ["play", "playing", "pause", "waiting", "ended", "durationchange"]) audio.addEventListener(type, tell.changed);
  audio.addEventListener("error", () => tell.trouble(new Error(audio.error?.message || "The browser cannot play this file.")));
  audio.addEventListener("timeupdate", () => {
    if (loop && audio.currentTime >= loop.to) audio.currentTime = loop.from;
  });
  return {
    isMixing: false,
    hasOriginal: original !== null,
    peaks: stems.map(() => null),
    get duration() {
      return Number.isFinite(audio.duration) ? audio.duration : 0;
    },
    get position() {
      return audio.currentTime;
    },
    get state() {
      return audio.paused ? "stopped" : audio.readyState < 3 ? "loading" : "playing";
    },
    async play(position) {
      if (position !== undefined) audio.currentTime = position;
      await audio.play();
    },
    pause: () => audio.pause(),
    seek(position) {
      audio.currentTime = position;
    },
    setLoop(wanted) {
      loop = wanted;
    },
    apply(settings, volume, originalHeard) {
      const index = settings.findIndex((setting) => setting.solo);
      switchTo(originalHeard && original ? stems.length : Math.max(0, index));
      const setting = settings[Math.max(0, index)];
      audio.volume = loudness(volume) * (originalHeard ? 1 : setting.muted ? 0 : loudness(setting.volume));
    },
    close() {
      audio.pause();
      audio.removeAttribute("src");
      audio.load();
    },
  };
}

