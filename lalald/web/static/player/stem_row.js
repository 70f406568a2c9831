// One stem: its name, mute, solo, volume, and its waveform, on which a press goes to that place.

import { h } from "../dom.js";
import { visible } from "../format.js";
import { Waveform } from "./waveform.js";

const HUES = 6;

/** @param {Stem} stem @param {number} index @param {import("./player.js").Player} player */
export function stemRow(stem, index, player) {
  const name = visible(stem.name);
  const mute = h("button", { type: "button", class: "switch", "aria-pressed": "false", "aria-label": `Mute ${name}`, on: { click: () => player.set(index, { muted: !player.settings[index].muted }) } }, "Mute");
  const solo = h("button", { type: "button", class: "switch", "aria-pressed": "false", "aria-label": `Solo ${name}`, on: { click: () => player.set(index, { solo: !player.settings[index].solo }) } }, "Solo");
  const volume = h("input", { type: "range", min: "0", max: "1", step: "0.01", value: "1", "aria-label": `Volume of ${name}`, on: { input: () => player.set(index, { volume: Number(volume.value) }) } });
  const canvas = h("canvas", { class: "wave", "aria-hidden": "true", on: { pointerdown: go } });
  const element = h("li", { class: `stem hue-${index % HUES}` }, h("span", { class: "stem-name" }, index < 9 && h("kbd", { "aria-hidden": "true" }, index + 1), h("bdi", null, name)), h("span", { class: "switches" }, solo, mute), volume, canvas);
  const waveform = new Waveform(canvas);

  /** @param {PointerEvent} event */
  function go(event) {
    if (event.button !== 0) return;
    const box = canvas.getBoundingClientRect();
    player.seek(((event.clientX - box.left) / box.width) * player.duration);
  }

  return {
    element,
    waveform,
    /** @param {Setting} setting @param {boolean} anySolo @param {boolean} originalHeard */
    draw(setting, anySolo, originalHeard) {
      mute.setAttribute("aria-pressed", String(setting.muted));
      solo.setAttribute("aria-pressed", String(setting.solo));
      const isHeard = !originalHeard && (anySolo ? setting.solo : !setting.muted);
      element.classList.toggle("is-silent", !isHeard);
    },
  };
}
