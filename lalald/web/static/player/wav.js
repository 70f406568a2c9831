// A WAV file, read in pieces that the browser decodes as files of their own; whatever its length, only a few are in memory.
// Layout: RIFF/WAVE (Microsoft) and RF64 (EBU Tech 3306); Wave64 is not read.

import { ApiError, request } from "../api.js";

const PIECE_SECONDS = 5;
const PIECES_KEPT = 6;
const HEAD_BYTES = 16384;

/** @type {Decoded} */
export const decoded = (context, bytes) =>
	context.decodeAudioData(bytes).catch(() => {
		throw new ApiError("This browser cannot play the file.", "Download it instead.");
	});

/** @type {IsWav} */
export const isWav = ({ extension }) => ["wav", "wave"].includes(extension);

/** @type {ReadRange} */
const readRange = async (url, from, to) => {
	const answer = await request(url, { headers: { Range: `bytes=${from}-${to - 1}` }, cache: "default" });
	if (answer.status !== 206) {
		await answer.body?.cancel();
		throw new ApiError("Something between the browser and lalald does not pass on ranges of a file.");
	}
	return { view: new DataView(await answer.arrayBuffer()), total: Number(answer.headers.get("Content-Range")?.split("/")[1]) };
};

/** @type {MakeWavSource} */
export const wavSource = (context, url, { head, rate, block, start, length }, onDecoded) => {
	/** @type {Map<number, Promise<AudioBuffer>>} */
	const pieces = new Map();
	const duration = length / block / rate;

	const read = async (/** @type {number} */ index) => {
		const bytes = PIECE_SECONDS * rate * block;
		const { view } = await readRange(url, start + index * bytes, start + Math.min((index + 1) * bytes, length));
		const buffer = await decoded(context, fileOf(head, view));
		onDecoded(buffer, index * PIECE_SECONDS);
		return buffer;
	};

	const pieceOf = (/** @type {number} */ index) => {
		const piece = pieces.get(index) ?? read(index);
		pieces.delete(index);
		pieces.set(index, piece); // as the newest
		piece.catch(() => pieces.delete(index));
		const [oldest] = pieces.keys();
		if (pieces.size > PIECES_KEPT) pieces.delete(oldest);
		return piece;
	};

	return {
		duration,
		load(from, to) {
			const parts = [];
			const end = Math.min(to, duration);
			for (let at = Math.max(0, from); end - at > 0.5 / rate; ) {
				const index = Math.floor((at * rate + 0.5) / (PIECE_SECONDS * rate));
				const [begin, stop] = [at, Math.min(end, (index + 1) * PIECE_SECONDS)];
				parts.push(pieceOf(index).then((buffer) => ({ buffer, delay: begin - from, offset: begin - index * PIECE_SECONDS, duration: stop - begin })));
				at = stop;
			}
			return Promise.all(parts);
		},
	};
};

/** @type {ReadWavFormat} */
export const readWavFormat = async (url) => {
	let { view, total } = await readRange(url, 0, HEAD_BYTES);
	if (!["RIFF", "RF64"].includes(word(view, 0)) || word(view, 8) !== "WAVE") throw new ApiError("This is not a WAV file.");
	/** @type {Uint8Array} */
	let head = new Uint8Array();
	let [longLength, base, at] = [total, 0, 12];
	for (let chunks = 0; chunks < 1000 && at + 8 <= total; chunks++) {
		if (at + 48 > base + view.byteLength && base + view.byteLength < total) {
			base = at;
			({ view } = await readRange(url, base, Math.min(total, base + HEAD_BYTES)));
		}
		const [name, length, body] = [word(view, at - base), view.getUint32(at - base + 4, true), at - base + 8];
		if (name === "ds64") longLength = Number(view.getBigUint64(body + 8, true));
		if (name === "fmt ") head = new Uint8Array(view.buffer, body - 8, 8 + length);
		if (name === "data" && head.length) {
			const format = new DataView(head.buffer, head.byteOffset);
			const [rate, block] = [format.getUint32(12, true), format.getUint16(20, true)];
			const stated = Math.min(length === 0xffffffff ? longLength : length || total, total - at - 8);
			return { head, rate, block, start: at + 8, length: stated - (stated % block) };
		}
		at += 8 + length + (length % 2);
	}
	throw new ApiError("This WAV file has no sound that can be read.");
};

/** @type {FileOf} */
const fileOf = (format, samples) => {
	const file = new Uint8Array(12 + format.length + 8 + samples.byteLength);
	const view = new DataView(file.buffer);
	const write = (/** @type {number} */ at, /** @type {string} */ name, /** @type {number} */ length) => {
		for (let letter = 0; letter < 4; letter++) view.setUint8(at + letter, name.charCodeAt(letter));
		view.setUint32(at + 4, length, true);
	};
	write(0, "RIFF", file.length - 8);
	file.set(new TextEncoder().encode("WAVE"), 8);
	file.set(format, 12);
	write(12 + format.length, "data", samples.byteLength);
	file.set(new Uint8Array(samples.buffer), 20 + format.length);
	return file.buffer;
};

/** @type {Word} */
const word = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, at, Math.max(0, Math.min(4, view.byteLength - at))));
