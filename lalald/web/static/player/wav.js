// A WAV file that is read in pieces: whatever its length, only a few pieces of it are in memory.
// Layout: RIFF/WAVE (Microsoft) and RF64 (EBU Tech 3306); Wave64 is not read.

import { ApiError, request } from "../api.js";

/** @typedef {{rate: number, channels: number, bytes: number, isFloat: boolean, start: number, length: number}} Format */

const PIECE_SECONDS = 5;
const PIECES_KEPT = 6;
const HEAD_BYTES = 16384;
const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe];

/** @param {Stem} stem */
export const isWav = ({ extension }) => ["wav", "wave"].includes(extension);

/** @param {string} url @param {number} from @param {number} to  exclusive */
async function readRange(url, from, to) {
  const answer = await request(url, { headers: { Range: `bytes=${from}-${to - 1}` }, cache: "default" });
  if (answer.status !== 206) {
    await answer.body?.cancel();
    throw new ApiError("Something between the browser and lalald does not pass on ranges of a file.");
  }
  const total = Number(answer.headers.get("Content-Range")?.split("/")[1]);
  return { view: new DataView(await answer.arrayBuffer()), total };
}

export class WavSource {
  /** @type {Map<number, Promise<AudioBuffer>>} */
  #pieces = new Map();
  /** @type {(buffer: AudioBuffer, at: number) => void} */
  onDecoded = () => {};

  /** @param {BaseAudioContext} context @param {string} url @param {Format} format */
  constructor(context, url, format) {
    this.context = context;
    this.url = url;
    this.format = format;
    this.duration = format.length / (format.channels * format.bytes) / format.rate;
  }

  /** What of the file sounds between two moments, in seconds. @param {number} from @param {number} to @returns {Promise<Part[]>} */
  async load(from, to) {
    const parts = [];
    const [end, { rate }] = [Math.min(to, this.duration), this.format];
    for (let at = Math.max(0, from); end - at > 0.5 / rate; ) {
      const index = Math.floor((at * rate + 0.5) / (PIECE_SECONDS * rate));
      const [start, stop] = [at, Math.min(end, (index + 1) * PIECE_SECONDS)];
      parts.push(this.#piece(index).then((buffer) => ({ buffer, delay: start - from, offset: start - index * PIECE_SECONDS, duration: stop - start })));
      at = stop;
    }
    return Promise.all(parts);
  }

  /** @param {number} index */
  #piece(index) {
    const piece = this.#pieces.get(index) ?? this.#read(index);
    this.#pieces.delete(index);
    this.#pieces.set(index, piece); // as the newest
    piece.catch(() => this.#pieces.delete(index));
    const [oldest] = this.#pieces.keys();
    if (this.#pieces.size > PIECES_KEPT) this.#pieces.delete(oldest);
    return piece;
  }

  /** @param {number} index */
  async #read(index) {
    const { rate, channels, bytes, start, length } = this.format;
    const block = channels * bytes;
    const piece = PIECE_SECONDS * rate * block;
    const { view } = await readRange(this.url, start + index * piece, start + Math.min((index + 1) * piece, length - (length % block)));
    const buffer = decodePcm(this.context, view, this.format);
    this.onDecoded(buffer, index * PIECE_SECONDS);
    return buffer;
  }
}

/** Reads the head of a WAV file. @param {string} url @returns {Promise<Format>} */
export async function readWavFormat(url) {
  let { view, total } = await readRange(url, 0, HEAD_BYTES);
  if (!["RIFF", "RF64"].includes(word(view, 0)) || word(view, 8) !== "WAVE") throw new ApiError("This is not a WAV file.");
  let [format, longLength] = [/** @type {Omit<Format, "start" | "length"> | null} */ (null), total];
  let [base, at] = [0, 12];
  for (let chunks = 0; chunks < 1000 && at + 8 <= total; chunks++) {
    if (at + 48 > base + view.byteLength && base + view.byteLength < total) {
      base = at;
      ({ view } = await readRange(url, base, Math.min(total, base + HEAD_BYTES)));
    }
    const [name, length, body] = [word(view, at - base), view.getUint32(at - base + 4, true), at - base + 8];
    if (name === "ds64") longLength = Number(view.getBigUint64(body + 8, true));
    if (name === "fmt ") format = formatOf(view, body, length);
    if (name === "data" && format) {
      const stated = length === 0xffffffff ? longLength : length || total;
      return { ...format, start: at + 8, length: Math.min(stated, total - at - 8) };
    }
    at += 8 + length + (length % 2);
  }
  throw new ApiError("This WAV file has no sound that can be read.");
}

/** @param {DataView} view @param {number} at @param {number} length */
function formatOf(view, at, length) {
  const tag = view.getUint16(at, true);
  const kind = tag === EXTENSIBLE && length >= 26 ? view.getUint16(at + 24, true) : tag;
  const [channels, rate, bits] = [view.getUint16(at + 2, true), view.getUint32(at + 4, true), view.getUint16(at + 14, true)];
  const isKnown = (kind === PCM && [8, 16, 24, 32].includes(bits)) || (kind === FLOAT && [32, 64].includes(bits));
  if (!isKnown || channels < 1 || channels > 32 || rate < 3000 || rate > 768000) throw new ApiError("This kind of WAV file cannot be played in pieces.");
  return { rate, channels, bytes: bits / 8, isFloat: kind === FLOAT };
}

/** @param {BaseAudioContext} context @param {DataView} view @param {Format} format */
function decodePcm(context, view, { rate, channels, bytes, isFloat }) {
  const block = channels * bytes;
  const frames = Math.floor(view.byteLength / block);
  const buffer = context.createBuffer(channels, Math.max(1, frames), rate);
  const sample = reader(view, bytes, isFloat);
  for (let channel = 0; channel < channels; channel++) {
    const out = buffer.getChannelData(channel);
    for (let frame = 0, at = channel * bytes; frame < frames; frame++, at += block) out[frame] = sample(at);
  }
  return buffer;
}

/** @param {DataView} view @param {number} bytes @param {boolean} isFloat @returns {(at: number) => number} */
function reader(view, bytes, isFloat) {
  if (isFloat) return bytes === 8 ? (at) => view.getFloat64(at, true) : (at) => view.getFloat32(at, true);
  if (bytes === 1) return (at) => (view.getUint8(at) - 128) / 128;
  if (bytes === 2) return (at) => view.getInt16(at, true) / 32768;
  if (bytes === 3) return (at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8388608;
  return (at) => view.getInt32(at, true) / 2147483648;
}

/** @param {DataView} view @param {number} at */
const word = (view, at) => (at + 4 > view.byteLength ? "" : String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4)));
