// Where the sound of a stem comes from: a WAV file in pieces, or a compressed one that is decoded whole.

import { ApiError, request } from "../api.js";
import { isWav, readWavFormat, WavSource } from "./wav.js";
import { Peaks } from "./waveform.js";

const BYTES_A_SECOND = 44100 * 2 * 4;
const MOST_DECODED_BYTES = 600e6;
const MOST_FETCHED_BYTES = 150e6; // of one compressed file: a film beside its stems is not read into memory

/** About 21 MB a minute of stereo. */
export class WholeSource {
  /** @param {AudioBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
    this.duration = buffer.duration;
  }

  /** @param {number} from @param {number} to @returns {Promise<Part[]>} */
  async load(from, to) {
    const [start, stop] = [Math.max(0, from), Math.min(to, this.duration)];
    return stop > start ? [{ buffer: this.buffer, delay: start - from, offset: start, duration: stop - start }] : [];
  }
}

/** Whether so many compressed stems fit into memory when they are decoded. @param {Stem[]} stems @param {number | null} seconds */
export function fits(stems, seconds) {
  const compressed = stems.filter((stem) => !isWav(stem));
  const memory = /** @type {any} */ (navigator).deviceMemory ?? 8; // GiB, where the browser tells
  const isSmall = (seconds ?? 600) * compressed.length * BYTES_A_SECOND <= MOST_DECODED_BYTES * Math.min(1, memory / 4);
  return !compressed.length || (isSmall && compressed.every(({ size }) => size <= MOST_FETCHED_BYTES));
}

/** At the rate of the first WAV, so that its pieces join without resampling. @param {Stem[]} stems */
export async function contextFor(stems) {
  const wav = stems.find(isWav);
  const rate = wav ? (await readWavFormat(wav.url)).rate : 0;
  return new AudioContext(rate >= 8000 && rate <= 96000 ? { sampleRate: rate } : {});
}

/**
 * A source, and its peaks as far as they are known.
 * @param {BaseAudioContext} context @param {Stem} stem @param {(share: number) => void} onProgress @param {() => void} onPeaks @param {AbortSignal} [signal]
 */
export async function openSource(context, stem, onProgress, onPeaks, signal) {
  if (isWav(stem)) {
    const source = new WavSource(context, stem.url, await readWavFormat(stem.url));
    const peaks = new Peaks(source.duration);
    source.onDecoded = (buffer, at) => (peaks.add(buffer, at), onPeaks());
    onProgress(1);
    return { source, peaks };
  }
  const bytes = await readAll(await request(stem.url, { signal, cache: "default" }), onProgress);
  const buffer = await context.decodeAudioData(bytes).catch(() => {
    throw new ApiError(`This browser cannot play ${stem.name}.`, "Download it instead.");
  });
  const peaks = new Peaks(buffer.duration);
  peaks.add(buffer, 0);
  return { source: new WholeSource(buffer), peaks };
}

/** @param {Response} answer @param {(share: number) => void} onProgress */
async function readAll(answer, onProgress) {
  const total = Number(answer.headers.get("Content-Length"));
  const reader = /** @type {ReadableStream<BlobPart>} */ (answer.body).getReader();
  const chunks = [];
  let read = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    read += /** @type {Uint8Array} */ (next.value).byteLength;
    onProgress(total ? read / total : 0);
  }
  return new Blob(chunks).arrayBuffer();
}
