// A waveform on a canvas: peaks of what was decoded, and how much of it has played.

import { h } from "../dom.js";

const [BAR, GAP] = [2, 1];
const BINS = 1600;

/** @type {PeaksOf} */
export const peaksOf = (duration) => {
	const values = new Float32Array(BINS);
	return {
		values,
		add(buffer, at) {
			const perBin = (duration * buffer.sampleRate) / BINS;
			const first = at * buffer.sampleRate;
			const [left, right] = [0, buffer.numberOfChannels - 1].map((channel) => buffer.getChannelData(channel));
			for (let bin = Math.floor(first / perBin); bin < BINS && bin * perBin < first + left.length; bin++) {
				const from = Math.max(0, Math.floor(bin * perBin - first));
				const to = Math.min(left.length, Math.ceil((bin + 1) * perBin - first));
				const step = Math.max(1, Math.floor((to - from) / 400)); // enough to see; every sample would take seconds
				for (let sample = from; sample < to; sample += step) values[bin] = Math.max(values[bin], Math.abs(left[sample]), Math.abs(right[sample]));
			}
		},
	};
};

/** @type {WaveformOf} */
export const waveform = (seek) => {
	/** @type {HTMLCanvasElement} */
	const canvas = h("canvas", { "aria-hidden": "true", onpointerdown: (event) => event.button === 0 && seek(event.offsetX / canvas.clientWidth) });
	const closing = new AbortController();
	let [share, drawn] = [0, -1];
	const playedBars = () => Math.floor((share * canvas.clientWidth) / (BAR + GAP));

	/** @type {Waveform} */
	const wave = {
		canvas,
		peaks: null,
		progress(now) {
			share = now;
			if (playedBars() !== drawn) wave.redraw();
		},
		redraw() {
			const { clientWidth: width, clientHeight: height } = canvas;
			const context = canvas.getContext("2d");
			if (!context || !width) return;
			const scale = Math.min(3, devicePixelRatio || 1);
			Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) }); // clears it, too
			context.scale(scale, scale);
			const { color: played, borderBottomColor: rest } = getComputedStyle(canvas);
			const bars = Math.floor(width / (BAR + GAP));
			drawn = playedBars();
			for (let bar = 0; bar < bars; bar++) {
				const first = Math.floor((bar / bars) * BINS);
				const peak = Math.max(0, ...(wave.peaks?.values.subarray(first, Math.max(first + 1, Math.ceil(((bar + 1) / bars) * BINS))) ?? []));
				const tall = Math.max(1, Math.min(1, peak ** 0.7) * height); // the ear hears quiet parts better than a straight scale shows them
				context.fillStyle = bar < drawn ? played : rest;
				context.fillRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall);
			}
		},
		close() {
			observer.disconnect();
			closing.abort();
		},
	};
	const observer = new ResizeObserver(wave.redraw);
	observer.observe(canvas);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", wave.redraw, { signal: closing.signal });
	return wave;
};
