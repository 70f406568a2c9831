// By how much the sum of the stems sounds later than the original: decoders leave an encoder's priming samples in
// (Chromium about 43 ms of an MP3's), in the stems alike but not in the original.

const WINDOW_SECONDS = 2;
const FARTHEST_SECONDS = 0.15;
const COARSE = 8;
const SURE = 0.3; // below this correlation the two have too little in common to tell

/**
 * Seconds to add to a position of the stems to find the same sound in the original; 0 where they have too little in common.
 * @param {Source[]} stems @param {Source} original @param {number} rate
 */
export async function lagOf(stems, original, rate) {
  const start = await loudestStart(original);
  const length = Math.floor(WINDOW_SECONDS * rate);
  const reach = Math.floor(FARTHEST_SECONDS * rate);
  const heard = await mono([original], start, length, rate);
  const sum = await mono(stems, start - FARTHEST_SECONDS, length + 2 * reach, rate);
  const coarse = bestShift(thinned(heard), thinned(sum), 0, Math.floor((2 * reach) / COARSE));
  if (coarse.likeness < SURE) return 0;
  const near = coarse.shift * COARSE;
  const { shift } = bestShift(heard, sum, Math.max(0, near - COARSE), Math.min(2 * reach, near + COARSE));
  const lag = (reach - shift) / rate;
  return Math.abs(lag) < 0.001 ? 0 : lag;
}

/** Where the loudest of a few windows at the start begins. @param {Source} source */
async function loudestStart(source) {
  const latest = Math.max(0, Math.min(60, source.duration - WINDOW_SECONDS - FARTHEST_SECONDS));
  let [best, power] = [Math.min(FARTHEST_SECONDS, latest), -1];
  for (let at = best; at <= latest; at += 5) {
    const found = (await mono([source], at, 4000, 8000)).reduce((sum, sample) => sum + sample * sample, 0);
    if (found > power) [best, power] = [at, found];
  }
  return best;
}

/** The first channels of some sources, added up. @param {Source[]} sources @param {number} from @param {number} length @param {number} rate */
async function mono(sources, from, length, rate) {
  const sum = new Float32Array(length);
  for (const source of sources) {
    for (const part of await source.load(from, from + length / rate)) {
      const samples = part.buffer.getChannelData(0);
      const scale = part.buffer.sampleRate / rate;
      const begin = Math.round(part.delay * rate);
      for (let at = begin; at < Math.min(length, begin + part.duration * rate); at++) {
        sum[at] += samples[Math.round(part.offset * part.buffer.sampleRate + (at - begin) * scale)] ?? 0;
      }
    }
  }
  return sum;
}

/** @param {Float32Array} samples */
function thinned(samples) {
  const out = new Float32Array(Math.floor(samples.length / COARSE));
  for (let at = 0; at < out.length; at++) {
    for (let step = 0; step < COARSE; step++) out[at] += samples[at * COARSE + step];
  }
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
  for (let at = from; at < Math.min(samples.length, from + length); at++) sum += samples[at] * samples[at];
  return sum;
}
