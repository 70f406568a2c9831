// What a view has asked for: an answer, or a list that grows at both ends. It is drawn again when it comes.

import { get } from "./api.js";
import { button, failure, loading } from "./ui.js";

/** @param {() => void} redraw @param {AbortSignal} signal @returns {Pick<Context, "answer" | "list">} */
export const answers = (redraw, signal) => ({
  answer(path, params) {
    /** @type {any} */
    const found = { value: null, error: null };
    found.load = async () => {
      try {
        [found.value, found.error] = [await get(path, params, signal), null];
      } catch (error) {
        found.error = error;
      }
      redraw();
    };
    found.shown = (/** @type {(value: any) => Child} */ content) => (found.value ? content(found.value) : found.error ? failure(found.error, found.load) : loading());
    void found.load();
    return found;
  },

  list(path, name, filter, page, most) {
    /** @type {any} */
    const list = { items: null, error: null, next: null };
    let search = 0;
    const load = async (isMore = false) => {
      const mine = ++search;
      const limit = isMore ? page : Math.min(most, Math.max(page, list.items?.length ?? 0));
      /** @type {any} */
      const found = await get(path, { ...filter, limit, before: isMore ? list.next : null }, signal).catch((error) => ({ error }));
      if (mine !== search) return;
      list.error = found.error;
      if (!found.error) [list.items, list.next] = [[...(isMore ? list.items : []), ...found[name]], found.next_before];
      redraw();
    };
    list.load = () => load();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let typing;
    list.search = () => {
      clearTimeout(typing);
      typing = setTimeout(load, 200);
    };
    // what is older than the newest `most` does not change
    list.refresh = gathered(async () => {
      if (!list.items || list.error) return load();
      const mine = search;
      /** @type {any} */
      const found = await get(path, { ...filter, limit: most }, signal).catch(() => null);
      if (!found || mine !== search) return;
      const fresh = new Map(found[name].map((/** @type {any} */ item) => [item.id, item]));
      const [newest, oldest] = [list.items[0]?.id ?? 0, found.next_before === null ? 0 : found[name].at(-1).id];
      const kept = list.items.flatMap((/** @type {any} */ { id }, /** @type {number} */ at) => fresh.get(id) ?? (id >= oldest ? [] : list.items[at]));
      list.items = [...found[name].filter((/** @type {any} */ { id }) => id > newest), ...kept];
      redraw();
    }, signal, 1000);
    list.shown = (/** @type {(items: any[]) => Child} */ content) => [
      list.error ? failure(list.error, list.load) : list.items ? content(list.items) : loading(),
      list.next !== null && !list.error && button("Show older ones", () => load(true), "wide"),
    ];
    void load();
    return list;
  },
});

/** Calls that come close together become one, and one at a time. @param {() => unknown} work @param {AbortSignal} signal */
export function gathered(work, signal, milliseconds = 400) {
  let [isDue, isBusy] = [false, false];
  const later = () => setTimeout(run, milliseconds);
  const run = async () => {
    if (signal.aborted) return;
    [isDue, isBusy] = [false, true];
    await work();
    isBusy = false;
    if (isDue) later();
  };
  return () => {
    if (!isDue && !isBusy) later();
    isDue = true;
  };
}
