// How the stems of a job are played: in pieces, decoded whole, or one at a time.

import { fetchWhole } from "./whole.js";
import { lagOf } from "./align.js";
import { readWavFormat, WavSource } from "./wav.js";
import { Peaks } from "./waveform.js";

const BYTES_A_SECOND = 44100 * 2 * 4;
const MOST_DECODED_BYTES = 600e6;
const MOST_FETCHED_BYTES = 150e6; // of one compressed file: a film beside its stems is not read into memory

/** @param {Stem} stem */
export const isWav = (stem) => ["wav", "wave"].includes(stem.extension.toLowerCase());

/** Whether so many compressed stems fit into memory when they are decoded. @param {Stem[]} stems @param {number | null} seconds */
export function fits(stems, seconds) {
  const memory = /** @type {any} */ (navigator).deviceMemory ?? 8; // GiB, where the browser tells
  const compressed = stems.filter((stem) => !isWav(stem)).length;
  if (stems.some((stem) => !isWav(stem) && stem.size > MOST_FETCHED_BYTES)) return false;
  return compressed === 0 || (seconds ?? 600) * compressed * BYTES_A_SECOND <= MOST_DECODED_BYTES * Math.min(1, memory / 4);
}

/** A context at the rate of the first WAV, so that its pieces join without resampling. @param {Stem[]} stems */
export async function contextFor(stems) {
  const wav = stems.find(isWav);
  if (!wav) return new AudioContext();
  const { rate } = await readWavFormat(wav.url);
  return rate >= 8000 && rate <= 96000 ? new AudioContext({ sampleRate: rate }) : new AudioContext();
}

/**
 * A source, and its peaks as far as they are known.
 * @param {BaseAudioContext} context @param {Stem} stem @param {(share: number) => void} onProgress @param {() => void} onPeaks @param {AbortSignal} signal
 */
export async function openSource(context, stem, onProgress, onPeaks, signal) {
  if (isWav(stem)) {
    const source = new WavSource(context, stem.url, await readWavFormat(stem.url));
    const peaks = new Peaks(source.duration);
    source.onDecoded = (buffer, at) => {
      peaks.add(buffer, at);
      onPeaks();
    };
    onProgress(1);
    return { source, peaks };
  }
  const source = await fetchWhole(context, stem.url, onProgress, signal);
  const peaks = new Peaks(source.duration);
  peaks.add(source.buffer, 0);
  onPeaks();
  return { source, peaks };
}

/**
 * The original beside its stems; null where it cannot be played.
 * @param {BaseAudioContext} context @param {Stem} original @param {Source[]} stems @param {AbortSignal} signal
 */
export async function openOriginal(context, original, stems, signal) {
  const { source, peaks } = await openSource(context, original, () => {}, () => {}, signal);
  return { source, peaks, lag: await lagOf(stems, source, context.sampleRate) };
}
