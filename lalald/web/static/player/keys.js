// The player's keys. They do nothing while something is typed, and leave every key to the control that has the focus.

/** @typedef {import("./player.js").Player} Player */

const SKIP_SECONDS = 5;

/** @param {Player} player @param {AbortSignal} signal */
export function onKeys(player, signal) {
  document.addEventListener("keydown", (event) => void (act(player, event) && event.preventDefault()), { signal });
}

/** Whether the key was one of the player's. @param {Player} player @param {KeyboardEvent} event */
function act(player, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || target.matches("input:not([type=range]), select, textarea")) return false;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (digit) return number(player, Number(digit[1]) - 1, event.shiftKey);
  if (event.key === " ") return !target.closest("button, a, summary, input") && (void player.toggle(), true);
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (target.matches("input")) return false;
    player.skip(event.key === "ArrowLeft" ? -SKIP_SECONDS : SKIP_SECONDS);
    return true;
  }
  if (event.key.toLowerCase() === "l") return player.cycleLoop(), true;
  if (event.key.toLowerCase() === "o") return player.compare(), true;
  return false;
}

/** @param {Player} player @param {number} stem @param {boolean} mutes */
function number(player, stem, mutes) {
  const setting = player.settings[stem];
  if (!setting) return false;
  player.set(stem, mutes ? { muted: !setting.muted } : { solo: !setting.solo });
  return true;
}
