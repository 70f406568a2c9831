// Plays several sources in step: every stretch of all of them starts at the same frame of the context's clock.
// Positions are in seconds; inside they are whole frames, so stretches join without a gap.

const STRETCH_SECONDS = 5;
const AHEAD_SECONDS = 12;
const START_SECONDS = 0.06; // between the last source's arrival and the first sound
const FADE_SECONDS = 0.008; // against clicks
const RETRY_MS = 2000;

/** @type {MakeTimeline} */
export const timelineOf = (context, lines, { gain }, reports) => {
	const rate = context.sampleRate;
	const isOffline = context instanceof OfflineAudioContext;
	const duration = Math.max(0, ...lines.map(({ source, lag }) => source.duration - lag));
	/** @type {(Stretch & {at: number})[]} */
	let stretches = [];
	/** @type {Set<AudioBufferSourceNode>} */
	const nodes = new Set();
	let [run, stoppedAt, wake] = [0, 0, () => {}];
	/** @type {Loop | null} */
	let loop = null;

	/** @type {Timeline} */
	const timeline = {
		duration,
		state: "stopped",
		get position() {
			const now = context.currentTime * rate;
			const current = stretches.findLast(({ at }) => at <= now);
			return current ? Math.min(current.from + now - current.at, current.to) / rate : stoppedAt;
		},
		start(position) {
			timeline.stop();
			timeline.seek(position);
			become("loading");
			return schedule(run, Math.round(stoppedAt * rate));
		},
		stop() {
			stoppedAt = timeline.position;
			stretches = [];
			run++;
			wake();
			fadeOut();
			for (const node of nodes) node.stop(context.currentTime + FADE_SECONDS);
			nodes.clear();
			become("stopped");
		},
		seek(position) {
			if (timeline.state !== "stopped") return void timeline.start(position);
			stoppedAt = Math.min(Math.max(0, position), duration);
		},
		setLoop(wanted) {
			loop = wanted;
			if (timeline.state !== "stopped") timeline.seek(timeline.position);
		},
	};

	/** A run ends as soon as another one begins. @type {Scheduling} */
	const { schedule, ends, cut, load, place, fadeOut, rest, pause, become } = {
		async schedule(mine, from) {
			let at = -1;
			for (let stretch = cut(from); stretch; stretch = cut(loop && stretch.to === ends()[1] ? Math.round(loop.from * rate) : stretch.to)) {
				const parts = await load(mine, stretch);
				if (mine !== run) return;
				const now = Math.ceil(context.currentTime * rate);
				if (at < now) {
					const isGentle = stretch.from > 0 || at >= 0;
					at = isOffline ? now : now + Math.ceil(START_SECONDS * rate);
					gain.cancelScheduledValues(at / rate);
					gain.setValueAtTime(isGentle ? 0 : 1, at / rate);
					if (isGentle) gain.linearRampToValueAtTime(1, at / rate + FADE_SECONDS);
				}
				for (const [line, found] of parts.entries()) place(line, found, at / rate);
				stretches.push({ ...stretch, at });
				become("playing");
				at += stretch.to - stretch.from;
				if (isOffline && at >= context.length) return;
				await rest(mine, at / rate - AHEAD_SECONDS);
				if (mine !== run) return;
			}
			await rest(mine, at / rate);
			if (mine !== run || isOffline) return;
			timeline.stop();
			stoppedAt = 0;
			reports.changed();
		},
		ends() {
			const end = Math.ceil(duration * rate);
			return [end, loop ? Math.min(Math.round(loop.to * rate), end) : Infinity];
		},
		cut(from) {
			const [end, loopEnd] = ends();
			const length = STRETCH_SECONDS * rate;
			const to = Math.min((Math.floor(from / length) + 1) * length, from < loopEnd ? loopEnd : Infinity, end);
			return to > from ? { from, to } : null;
		},
		async load(mine, stretch) {
			try {
				return await Promise.all(lines.map(({ source, lag }) => source.load(stretch.from / rate + lag, stretch.to / rate + lag)));
			} catch (error) {
				if (mine !== run) return [];
				if (isOffline) throw error;
				become("stalled");
				reports.trouble(error);
				await pause(RETRY_MS);
				return mine === run ? load(mine, stretch) : [];
			}
		},
		place(line, parts, at) {
			for (const { buffer, delay, offset, duration } of parts) {
				const node = context.createBufferSource();
				node.buffer = buffer;
				node.connect(lines[line].output);
				node.start(at + delay, offset, duration - 0.1 / rate); // a rounded-up end would sound into the next stretch
				node.onended = () => (node.disconnect(), nodes.delete(node));
				nodes.add(node);
			}
		},
		fadeOut() {
			const now = context.currentTime;
			if (!nodes.size) return;
			gain.cancelScheduledValues(now);
			gain.setValueAtTime(gain.value, now);
			gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
		},
		async rest(mine, moment) {
			while (mine === run && context.currentTime < moment && !isOffline) await pause(Math.min(1000, Math.max(20, (moment - context.currentTime) * 1000)));
		},
		pause: (milliseconds) => new Promise((resolve) => (setTimeout(resolve, milliseconds), (wake = resolve))),
		become(state) {
			const isNew = state !== timeline.state;
			timeline.state = state;
			if (isNew) reports.changed();
		},
	};
	return timeline;
};
