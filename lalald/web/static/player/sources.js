// Where the sound of a stem comes from: a WAV file in pieces, or a compressed one that is decoded whole.

import { request } from "../api.js";
import { decoded, isWav, readWavFormat, wavSource } from "./wav.js";
import { peaksOf } from "./waveform.js";

const BYTES_A_SECOND = 44100 * 2 * 4; // of decoded stereo: about 21 MB a minute
const MOST_DECODED_BYTES = 600e6;
const MOST_FETCHED_BYTES = 150e6; // of one compressed file: a film beside its stems is not read into memory

/** @type {WholeSource} */
export const wholeSource = (buffer) => ({
	duration: buffer.duration,
	async load(from, to) {
		const [start, stop] = [Math.max(0, from), Math.min(to, buffer.duration)];
		return stop > start ? [{ buffer, delay: start - from, offset: start, duration: stop - start }] : [];
	},
});

/** Into memory, decoded. @type {Fits} */
export const fits = (stems, seconds) => {
	const compressed = stems.filter((stem) => !isWav(stem));
	const memory = /** @type {any} */ (navigator).deviceMemory ?? 8; // GiB, where the browser tells
	const bytes = (seconds ?? 600) * compressed.length * BYTES_A_SECOND;
	return bytes <= MOST_DECODED_BYTES * Math.min(1, memory / 4) && compressed.every(({ size }) => size <= MOST_FETCHED_BYTES);
};

/** At the rate of the first WAV, so that its pieces join without resampling. @type {ContextFor} */
export const contextFor = async (stems) => {
	const wav = stems.find(isWav);
	const rate = wav ? (await readWavFormat(wav.url)).rate : 0;
	return new AudioContext(rate >= 8000 && rate <= 96000 ? { sampleRate: rate } : {});
};

/** @type {OpenSource} */
export const openSource = async (context, stem, onProgress, onPeaks, signal) => {
	if (isWav(stem)) {
		const source = wavSource(context, stem.url, await readWavFormat(stem.url), (buffer, at) => (peaks.add(buffer, at), onPeaks()));
		const peaks = peaksOf(source.duration);
		onProgress(1);
		return { source, peaks };
	}
	const bytes = await readAll(await request(stem.url, { signal, cache: "default" }), onProgress);
	const buffer = await decoded(context, bytes);
	const peaks = peaksOf(buffer.duration);
	peaks.add(buffer, 0);
	return { source: wholeSource(buffer), peaks };
};

/** @type {ReadAll} */
const readAll = async (answer, onProgress) => {
	const total = Number(answer.headers.get("Content-Length"));
	const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (answer.body).getReader();
	const chunks = [];
	let read = 0;
	for (let next = await reader.read(); !next.done; next = await reader.read()) {
		chunks.push(next.value);
		read += next.value.byteLength;
		onProgress(total ? read / total : 0);
	}
	return new Blob(chunks).arrayBuffer();
};
