// A waveform on a canvas: peaks of what was decoded, and how much of it has played.

const BAR = 2;
const GAP = 1;

/** The loudest samples of equal stretches of a stem, filled as parts of it are decoded. */
export class Peaks {
  /** @param {number} duration @param {number} [bins] */
  constructor(duration, bins = 1600) {
    this.duration = duration;
    this.values = new Float32Array(bins);
  }

  /** @param {AudioBuffer} buffer @param {number} at  where it begins, in seconds */
  add(buffer, at) {
    const perBin = (this.duration * buffer.sampleRate) / this.values.length;
    const first = at * buffer.sampleRate;
    const samples = buffer.getChannelData(0);
    const other = buffer.numberOfChannels > 1 ? buffer.getChannelData(1) : samples;
    for (let bin = Math.floor(first / perBin); bin < this.values.length && bin * perBin < first + samples.length; bin++) {
      const from = Math.max(0, Math.floor(bin * perBin - first));
      const to = Math.min(samples.length, Math.ceil((bin + 1) * perBin - first));
      const step = Math.max(1, Math.floor((to - from) / 400)); // enough to see; every sample would take seconds
      let peak = this.values[bin];
      for (let sample = from; sample < to; sample += step) peak = Math.max(peak, Math.abs(samples[sample]), Math.abs(other[sample]));
      this.values[bin] = peak;
    }
  }
}

export class Waveform {
  /** @type {Peaks | null} */
  peaks = null;
  #share = 0;
  #drawn = -1;
  #colors = { played: "#000", rest: "#000" };

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.resize);
  }

  close() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.resize);
  }

  resize = () => {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(3, devicePixelRatio || 1);
    this.canvas.width = Math.round(clientWidth * scale);
    this.canvas.height = Math.round(clientHeight * scale);
    this.canvas.getContext("2d")?.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(this.canvas);
    this.#colors = { played: style.color, rest: style.getPropertyValue("--rest").trim() || style.color };
    this.redraw();
  };

  /** @param {number} share  of the music that has played */
  progress(share) {
    this.#share = share;
    const bar = Math.floor((share * this.canvas.clientWidth) / (BAR + GAP));
    if (bar !== this.#drawn) this.redraw();
  }

  redraw() {
    const context = this.canvas.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!context || !width) return;
    context.clearRect(0, 0, width, height);
    const bars = Math.floor(width / (BAR + GAP));
    this.#drawn = Math.floor((this.#share * width) / (BAR + GAP));
    for (let bar = 0; bar < bars; bar++) {
      const tall = Math.max(1, this.#peak(bar / bars, (bar + 1) / bars) * height);
      context.fillStyle = bar < this.#drawn ? this.#colors.played : this.#colors.rest;
      context.fillRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall);
    }
  }

  /** @param {number} from @param {number} to  shares of the music */
  #peak(from, to) {
    if (!this.peaks) return 0;
    const values = this.peaks.values;
    let peak = 0;
    for (let bin = Math.floor(from * values.length); bin < Math.max(to * values.length, Math.floor(from * values.length) + 1); bin++) peak = Math.max(peak, values[bin] ?? 0);
    return Math.min(1, peak ** 0.7); // the ear hears quiet parts better than a straight scale shows them
  }
}
