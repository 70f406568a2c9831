// By how much the stems sound later than the original: decoders leave an encoder's priming samples in (Chromium about
// 43 ms of an MP3's), in the stems alike but not in the original.

const RATE_DIVISOR = 8;
const WINDOW_SECONDS = 6; // a start is often quiet
const FARTHEST_SECONDS = 0.15;
const SURE = 0.3; // below this correlation the two have too little in common

/** Seconds to add to a position of the stems; 0 where that is unsure. @type {LagOf} */
export const lagOf = async (stems, original, rate) => {
	const heard = await mono([original], FARTHEST_SECONDS, WINDOW_SECONDS, rate);
	const sum = await mono(stems, 0, WINDOW_SECONDS + 2 * FARTHEST_SECONDS, rate);
	let [best, likeness] = [0, SURE];
	for (let shift = 0; shift <= sum.length - heard.length; shift++) {
		const part = sum.subarray(shift, shift + heard.length);
		const found = heard.reduce((all, sample, at) => all + sample * part[at], 0) / (Math.sqrt(power(heard) * power(part)) || 1);
		if (found > likeness) [best, likeness] = [FARTHEST_SECONDS - (shift * RATE_DIVISOR) / rate, found];
	}
	return Math.abs(best) < 0.001 ? 0 : best;
};

/** @type {Mono} */
const mono = async (sources, from, seconds, rate) => {
	const sum = new Float32Array(Math.floor((seconds * rate) / RATE_DIVISOR));
	for (const source of sources) {
		for (const { buffer, delay, offset, duration } of await source.load(from, from + seconds)) {
			const samples = buffer.getChannelData(0);
			const scale = buffer.sampleRate / rate;
			for (let at = 0; at < duration * rate; at++) sum[Math.floor((at + delay * rate) / RATE_DIVISOR)] += samples[Math.round(offset * buffer.sampleRate + at * scale)] ?? 0;
		}
	}
	return sum;
};

/** @type {Power} */
const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0);
