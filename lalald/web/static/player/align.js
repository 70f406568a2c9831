// By how much the sum of the stems sounds later than the original: decoders leave an encoder's priming samples in
// (Chromium about 43 ms of an MP3's), in the stems alike but not in the original.

const WINDOW_SECONDS = 2;
const FARTHEST_SECONDS = 0.15;
const COARSE = 8;
const SURE = 0.3; // below this correlation the two have too little in common

/** Seconds to add to a position of the stems to find the same sound in the original; 0 where that is unsure. @param {Source[]} stems @param {Source} original @param {number} rate */
export async function lagOf(stems, original, rate) {
  const start = await loudestStart(original);
  const [length, reach] = [Math.floor(WINDOW_SECONDS * rate), Math.floor(FARTHEST_SECONDS * rate)];
  const heard = await mono([original], start, length, rate);
  const sum = await mono(stems, start - FARTHEST_SECONDS, length + 2 * reach, rate);
  const coarse = bestShift(thinned(heard), thinned(sum), 0, Math.floor((2 * reach) / COARSE));
  if (coarse.likeness < SURE) return 0;
  const near = coarse.shift * COARSE;
  const { shift } = bestShift(heard, sum, Math.max(0, near - COARSE), Math.min(2 * reach, near + COARSE));
  const lag = (reach - shift) / rate;
  return Math.abs(lag) < 0.001 ? 0 : lag;
}

/** Of the loudest of a few windows in the first minute. @param {Source} source */
async function loudestStart(source) {
  const latest = Math.max(0, Math.min(60, source.duration - WINDOW_SECONDS - FARTHEST_SECONDS));
  let [best, most] = [Math.min(FARTHEST_SECONDS, latest), -1];
  for (let at = best; at <= latest; at += 5) {
    const found = power(await mono([source], at, 4000, 8000), 0, 4000);
    if (found > most) [best, most] = [at, found];
  }
  return best;
}

/** The first channels of some sources, added up. @param {Source[]} sources @param {number} from @param {number} length @param {number} rate */
async function mono(sources, from, length, rate) {
  const sum = new Float32Array(length);
  for (const source of sources) {
    for (const { buffer, delay, offset, duration } of await source.load(from, from + length / rate)) {
      const samples = buffer.getChannelData(0);
      const [begin, scale] = [Math.round(delay * rate), buffer.sampleRate / rate];
      for (let at = begin; at < Math.min(length, begin + duration * rate); at++) sum[at] += samples[Math.round(offset * buffer.sampleRate + (at - begin) * scale)] ?? 0;
    }
  }
  return sum;
}

/** @param {Float32Array} samples */
function thinned(samples) {
  const out = new Float32Array(Math.floor(samples.length / COARSE));
  for (let at = 0; at < out.length * COARSE; at++) out[Math.floor(at / COARSE)] += samples[at];
  return out;
}

/** The shift at which `wide` looks most like `narrow`. @param {Float32Array} narrow @param {Float32Array} wide @param {number} least @param {number} most */
function bestShift(narrow, wide, least, most) {
  const norm = power(narrow, 0, narrow.length);
  let best = { shift: least, likeness: -1 };
  for (let shift = least; shift <= most; shift++) {
    let product = 0;
    for (let at = 0; at < narrow.length; at++) product += narrow[at] * (wide[at + shift] ?? 0);
    const likeness = product / (Math.sqrt(norm * power(wide, shift, narrow.length)) || 1);
    if (likeness > best.likeness) best = { shift, likeness };
  }
  return best;
}

/** @param {Float32Array} samples @param {number} from @param {number} length */
function power(samples, from, length) {
  let sum = 0;
  for (let at = from; at < Math.min(samples.length, from + length); at++) sum += samples[at] ** 2;
  return sum;
}
