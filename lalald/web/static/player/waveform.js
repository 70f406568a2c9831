// A waveform on a canvas: peaks of what was decoded, and how much of it has played.

const [BAR, GAP] = [2, 1];
const BINS = 1600;

/** The loudest samples of equal stretches of a stem, filled as parts of it are decoded. */
export class Peaks {
  /** @param {number} duration */
  constructor(duration) {
    this.duration = duration;
    this.values = new Float32Array(BINS);
  }

  /** @param {AudioBuffer} buffer @param {number} at  where it begins, in seconds */
  add(buffer, at) {
    const perBin = (this.duration * buffer.sampleRate) / BINS;
    const first = at * buffer.sampleRate;
    const [left, right] = [0, buffer.numberOfChannels > 1 ? 1 : 0].map((channel) => buffer.getChannelData(channel));
    for (let bin = Math.floor(first / perBin); bin < BINS && bin * perBin < first + left.length; bin++) {
      const from = Math.max(0, Math.floor(bin * perBin - first));
      const to = Math.min(left.length, Math.ceil((bin + 1) * perBin - first));
      const step = Math.max(1, Math.floor((to - from) / 400)); // enough to see; every sample would take seconds
      for (let at = from; at < to; at += step) this.values[bin] = Math.max(this.values[bin], Math.abs(left[at]), Math.abs(right[at]));
    }
  }
}

export class Waveform {
  /** @type {Peaks | null} */
  peaks = null;
  #share = 0;
  #drawn = -1;
  #closing = new AbortController();

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw(), { signal: this.#closing.signal });
  }

  close() {
    this.observer.disconnect();
    this.#closing.abort();
  }

  /** @param {number} share  of the music that has played */
  progress(share) {
    this.#share = share;
    if (Math.floor((share * this.canvas.clientWidth) / (BAR + GAP)) !== this.#drawn) this.redraw();
  }

  redraw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const context = this.canvas.getContext("2d");
    if (!context || !width) return;
    const scale = Math.min(3, devicePixelRatio || 1);
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) }); // clears it, too
    context.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const [played, rest] = [style.color, style.borderBottomColor];
    const bars = Math.floor(width / (BAR + GAP));
    this.#drawn = Math.floor((this.#share * width) / (BAR + GAP));
    for (let bar = 0; bar < bars; bar++) {
      const tall = Math.max(1, this.#peak(bar / bars, (bar + 1) / bars) * height);
      context.fillStyle = bar < this.#drawn ? played : rest;
      context.fillRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall);
    }
  }

  /** @param {number} from @param {number} to  shares of the music */
  #peak(from, to) {
    const first = Math.floor(from * BINS);
    const peak = this.peaks ? Math.max(...this.peaks.values.subarray(first, Math.max(first + 1, Math.ceil(to * BINS)))) : 0;
    return Math.min(1, peak ** 0.7); // the ear hears quiet parts better than a straight scale shows them
  }
}
