// A compressed file that is decoded whole: about 21 MB a minute of stereo.

import { ApiError, request } from "../api.js";

export class WholeSource {
  /** @param {AudioBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
    this.duration = buffer.duration;
  }

  /** @param {number} from @param {number} to @returns {Promise<Part[]>} */
  async load(from, to) {
    const start = Math.max(0, from);
    const stop = Math.min(to, this.duration);
    return stop > start ? [{ buffer: this.buffer, delay: start - from, offset: start, duration: stop - start }] : [];
  }
}

/**
 * @param {BaseAudioContext} context @param {string} url
 * @param {(share: number) => void} [onProgress]  0 to 1, where the length is known
 * @param {AbortSignal} [signal]
 */
export async function fetchWhole(context, url, onProgress = () => {}, signal = undefined) {
  const bytes = await readAll(await request(url, { signal, cache: "default" }), onProgress);
  try {
    return new WholeSource(await context.decodeAudioData(bytes));
  } catch {
    throw new ApiError("This browser cannot play the file.", { hint: "Download it instead." });
  }
}

/** @param {Response} answer @param {(share: number) => void} onProgress */
async function readAll(answer, onProgress) {
  const total = Number(answer.headers.get("Content-Length")) || 0;
  if (!answer.body) return answer.arrayBuffer();
  /** @type {BlobPart[]} */
  const chunks = [];
  let read = 0;
  const reader = answer.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    read += next.value.byteLength;
    if (total) onProgress(read / total);
  }
  return new Blob(chunks).arrayBuffer();
}
