// Plays several sources in step: every stretch of all of them starts at the same frame of the context's clock.
// Positions are in seconds; inside they are whole frames, so stretches join without a gap.

const STRETCH_SECONDS = 5;
const AHEAD_SECONDS = 12;
const START_SECONDS = 0.06; // between the last source's arrival and the first sound
const FADE_SECONDS = 0.008; // against clicks
const RETRY_MS = 2000;

/** `fader` fades each start and stop. @type {(context: BaseAudioContext, lines: Line[], fader: GainNode, reports: Pick<Reports, "changed" | "trouble">) => Timeline} */
export const timelineOf = (context, lines, { gain }, reports) => {
  const rate = context.sampleRate;
  const isOffline = context instanceof OfflineAudioContext;
  const duration = Math.max(0, ...lines.map(({ source, lag }) => source.duration - lag));
  const clamped = (/** @type {number} */ position) => Math.min(Math.max(0, position), duration);
  /** In frames of the context's clock (`at`) and of the music. @type {{at: number, from: number, to: number}[]} */
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
    /** The promise ends when all is scheduled or the run is over. */
    start(position) {
      timeline.stop();
      stoppedAt = clamped(position);
      become("loading");
      return schedule(run, Math.round(stoppedAt * rate));
    },
    stop() {
      stoppedAt = timeline.position;
      stretches = [];
      run++;
      wake();
      silence();
      become("stopped");
    },
    /** Goes to a position, and on from there if it plays. */
    seek(position) {
      if (timeline.state === "stopped") stoppedAt = clamped(position);
      else void timeline.start(position);
    },
    setLoop(wanted) {
      loop = wanted;
      if (timeline.state !== "stopped") timeline.seek(timeline.position);
    },
  };

  /** @type {(mine: number, from: number) => Promise<void>} */
  const schedule = async (mine, from) => {
    let at = -1;
    for (let stretch = cut(from); stretch; stretch = cut(after(stretch.to))) {
      const parts = await load(mine, stretch.from / rate, stretch.to / rate);
      if (mine !== run) return;
      const now = Math.ceil(context.currentTime * rate);
      if (at < now) {
        const isGentle = stretch.from > 0 || at >= 0;
        at = isOffline ? now : now + Math.ceil(START_SECONDS * rate);
        fadeIn(at / rate, isGentle);
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
  };

  /** The frame after the music, and the one after the loop. */
  const ends = () => {
    const end = Math.ceil(duration * rate);
    return [end, loop ? Math.min(Math.round(loop.to * rate), end) : Infinity];
  };

  /** The stretch from a frame to the next border, the loop's end or the end of the music. @type {(from: number) => {from: number, to: number} | null} */
  const cut = (from) => {
    const [end, loopEnd] = ends();
    const length = STRETCH_SECONDS * rate;
    const to = Math.min((Math.floor(from / length) + 1) * length, from < loopEnd ? loopEnd : Infinity, end);
    return to > from ? { from, to } : null;
  };

  /** Where the music goes on after a frame. @type {(frame: number) => number} */
  const after = (frame) => (loop && frame === ends()[1] ? Math.round(loop.from * rate) : frame);

  /** All parts of a stretch; tried again until they are there. @type {(mine: number, from: number, to: number) => Promise<Part[][]>} */
  const load = async (mine, from, to) => {
    try {
      return await Promise.all(lines.map(({ source, lag }) => source.load(from + lag, to + lag)));
    } catch (error) {
      if (mine !== run) return [];
      if (isOffline) throw error;
      become("stalled");
      reports.trouble(error);
      await pause(RETRY_MS);
      return mine === run ? load(mine, from, to) : [];
    }
  };

  /** @type {(line: number, parts: Part[], at: number) => void} */
  const place = (line, parts, at) => {
    for (const { buffer, delay, offset, duration } of parts) {
      const node = context.createBufferSource();
      node.buffer = buffer;
      node.connect(lines[line].output);
      node.start(at + delay, offset, duration - 0.1 / rate); // a rounded-up end would sound into the next stretch
      node.onended = () => (node.disconnect(), nodes.delete(node));
      nodes.add(node);
    }
  };

  /** @type {(at: number, isGentle: boolean) => void} */
  const fadeIn = (at, isGentle) => {
    gain.cancelScheduledValues(at);
    gain.setValueAtTime(isGentle ? 0 : 1, at);
    if (isGentle) gain.linearRampToValueAtTime(1, at + FADE_SECONDS);
  };

  const silence = () => {
    const now = context.currentTime;
    if (nodes.size) {
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    }
    for (const node of nodes) node.stop(now + FADE_SECONDS);
    nodes.clear();
  };

  /** Until the context's clock has reached a moment. @type {(mine: number, moment: number) => Promise<void>} */
  const rest = async (mine, moment) => {
    while (mine === run && context.currentTime < moment && !isOffline) await pause(Math.min(1000, Math.max(20, (moment - context.currentTime) * 1000)));
  };

  /** @type {(milliseconds: number) => Promise<void>} */
  const pause = (milliseconds) =>
    new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      wake = resolve;
    });

  /** @type {(state: Timeline["state"]) => void} */
  const become = (state) => {
    const isNew = state !== timeline.state;
    timeline.state = state;
    if (isNew) reports.changed();
  };

  return timeline;
};
