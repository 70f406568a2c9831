// What plays: a mixer of all stems in step, or one <audio> element where the stems are too long to be decoded.

import { ApiError, request } from "../api.js";
import { lagOf } from "./align.js";
import { contextFor, fits, openSource } from "./sources.js";
import { timelineOf } from "./timeline.js";

const GLIDE_SECONDS = 0.005; // a jump would click

/** @type {Engines} */
export const { isHeard, openEngine, mixerOf, singleOf } = {
	// solo wins over mute, as on every mixing desk
	isHeard: (setting, all) => (all.some(({ solo }) => solo) ? setting.solo : !setting.muted),

	async openEngine(stems, original, seconds, reports, signal) {
		if (!fits(stems, seconds)) return singleOf(stems, original, reports);
		const context = await contextFor(stems);
		const shares = stems.map(() => 0);
		const open = (/** @type {Stem} */ stem, index = shares.length) =>
			openSource(context, stem, (share) => reports.progress(((shares[index] = share), shares.reduce((sum, one) => sum + one) / shares.length)), reports.peaks, signal);
		try {
			const opened = await Promise.all(stems.map((stem, index) => open(stem, index)));
			const sources = opened.map(({ source }) => source);
			const beside = original && fits([...stems, original], seconds) ? await open(original).catch(() => null) : null;
			const line = beside && { source: beside.source, lag: await lagOf(sources, beside.source, context.sampleRate) };
			return mixerOf(context, sources, line, opened.map(({ peaks }) => peaks), reports);
		} catch (error) {
			void context.close();
			throw error;
		}
	},

	mixerOf(context, stems, original, peaks, reports) {
		const fader = context.createGain();
		fader.connect(context.destination);
		const lines = [...stems.map((source) => ({ source, lag: 0 })), ...(original ? [original] : [])].map((line) => ({ ...line, output: context.createGain() }));
		for (const line of lines) line.output.connect(fader);
		const timeline = timelineOf(context, lines, fader, reports);
		return Object.assign(timeline, {
			isMixing: true,
			hasOriginal: original !== null,
			peaks,
			async play() {
				if (context instanceof AudioContext) await context.resume();
				void timeline.start(timeline.position);
			},
			pause: timeline.stop,
			/** @type {Engine["apply"]} */
			apply(settings, hearsOriginal) {
				const now = context.currentTime;
				const gains = settings.map((setting) => (isHeard(setting, settings) && !hearsOriginal ? loudness(setting) : 0));
				for (const [index, { output }] of lines.entries()) {
					const gain = gains[index] ?? Number(hearsOriginal);
					output.gain.cancelScheduledValues(now);
					if (now === 0) output.gain.setValueAtTime(gain, now);
					else output.gain.setTargetAtTime(gain, now, GLIDE_SECONDS);
				}
			},
			close() {
				timeline.stop();
				if (context instanceof AudioContext) void context.close();
			},
		});
	},

	singleOf(stems, original, reports) {
		const audio = new Audio();
		const files = original ? [...stems, original] : stems;
		let heard = -1;
		/** @type {Loop | null} */
		let loop = null;
		const open = (/** @type {number} */ index) => {
			const { currentTime, paused } = audio;
			heard = index;
			audio.src = files[index].url;
			audio.currentTime = currentTime;
			if (!paused) void audio.play().catch(() => {}); // the element reports its error
		};
		for (const type of ["play", "playing", "pause", "waiting", "ended", "durationchange"]) audio.addEventListener(type, reports.changed);
		audio.onerror = async () => {
			// the element does not say whether its file is gone, the session is over, or the browser cannot play it
			const { name, url } = files[heard];
			await request(url, { headers: { Range: "bytes=0-0" } }).then(() => reports.trouble(new ApiError(`This browser cannot play ${name}.`, "Download it instead.")), reports.trouble);
		};
		audio.ontimeupdate = () => loop && audio.currentTime >= loop.to && (audio.currentTime = loop.from);
		open(0);
		return {
			isMixing: false,
			hasOriginal: original !== null,
			peaks: [],
			get duration() {
				return Number.isFinite(audio.duration) ? audio.duration : 0;
			},
			get position() {
				return audio.currentTime;
			},
			get state() {
				return audio.paused ? "stopped" : audio.readyState < 3 ? "loading" : "playing";
			},
			play() {
				if (audio.error) open(heard);
				return audio.play();
			},
			pause: () => audio.pause(),
			seek: (position) => void (audio.currentTime = position),
			setLoop: (wanted) => void (loop = wanted),
			apply(settings, hearsOriginal) {
				const index = Math.max(0, settings.findIndex(({ solo }) => solo));
				const wanted = hearsOriginal ? stems.length : index;
				if (wanted !== heard) open(wanted);
				audio.volume = hearsOriginal ? 1 : settings[index].muted ? 0 : loudness(settings[index]);
			},
			close() {
				audio.pause();
				audio.removeAttribute("src");
				audio.load();
			},
		};
	},
};

/** A fader feels even when its square is the gain. @type {Loudness} */
const loudness = ({ volume }) => volume * volume;
