// How loud each stem is. Solo wins over mute, as on every mixing desk.

/** @returns {Setting} */
export const initialSetting = () => ({ volume: 1, muted: false, solo: false });

/**
 * The gain of each stem. While the original is heard, every stem is silent.
 * @param {Setting[]} settings @param {boolean} originalHeard
 */
export function gains(settings, originalHeard) {
  const anySolo = settings.some((setting) => setting.solo);
  return settings.map(({ volume, muted, solo }) => {
    const heard = anySolo ? solo : !muted;
    return heard && !originalHeard ? loudness(volume) : 0;
  });
}

/** A fader feels even when its square is the gain. @param {number} volume  0 to 1 */
export const loudness = (volume) => volume * volume;
