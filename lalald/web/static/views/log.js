// What happened, newest first, in the words of the notifications.

import { h, show } from "../dom.js";
import { get } from "../api.js";
import { visible } from "../format.js";
import { emptyState, failure, gathered, heading, loading, prose, sentence } from "../parts.js";
import { EVENTS } from "../words.js";

const BAD = ["job.failed", "inbox.unavailable", "folder.unavailable", "service.down", "license.missing", "license.refused", "results.expiring"];
const HELD = ["job.held", "minutes.low"];
const dayName = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {import("../app.js").Context} context */
export function log({ live, root, query, signal, setTitle }) {
  setTitle("Log");
  const filter = { event: query.get("event") ?? "", text: query.get("text") ?? "" };
  /** @type {LogEvent[] | null} */
  let events = null;
  /** @type {number | null} */
  let more = null;
  /** @type {any} */
  let trouble = null;
  let search = 0;

  const draw = () =>
    show(
      root,
      heading("Log"),
      form(),
      trouble ? failure(trouble, () => void load(false)) : events === null ? loading() : events.length ? days(events) : none(),
      more !== null && h("button", { key: "more", type: "button", class: "wide", on: { click: () => void load(true) } }, "Show older events"),
    );

  /** @param {boolean} isMore */
  const load = async (isMore) => {
    const mine = ++search;
    try {
      const page = await get("api/log", { ...filter, before: isMore ? more : null, limit: 100 }, signal);
      if (mine !== search) return;
      events = isMore && events ? [...events, ...page.events] : page.events;
      more = page.next_before;
      trouble = null;
    } catch (error) {
      if (mine !== search || signal.aborted) return;
      trouble = error;
    }
    draw();
  };

  const refresh = gathered(async () => {
    const page = await get("api/log", { ...filter, limit: 100 }, signal).catch(() => null);
    if (!page || !events || signal.aborted) return;
    const newest = events[0]?.id ?? 0;
    const added = page.events.filter((/** @type {LogEvent} */ event) => event.id > newest);
    if (added.length === 0) return;
    events = [...added, ...events];
    draw();
  }, signal, 1000);

  let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  const form = () => {
    const kinds = h("select", { name: "event", on: { change: (/** @type {any} */ event) => ((filter.event = event.target.value), void load(false)) } }, h("option", { value: "" }, "Everything"), Object.entries(EVENTS).map(([name, label]) => h("option", { value: name }, label)));
    kinds.value = filter.event;
    kinds.setAttribute("value", filter.event);
    /** @param {any} event */
    const type = (event) => {
      filter.text = event.target.value.trim();
      clearTimeout(timer);
      timer = setTimeout(() => void load(false), 250);
    };
    return h(
      "form",
      { key: "form", class: "filter", role: "search", on: { submit: (/** @type {any} */ event) => event.preventDefault() } },
      h("label", { class: "field" }, h("span", null, "Text"), h("input", { type: "search", name: "text", value: filter.text, on: { input: type } })),
      h("label", { class: "field" }, h("span", null, "Event"), kinds),
    );
  };

  const none = () =>
    filter.event || filter.text
      ? emptyState("No event matches", h("p", null, "Events are kept for a week."))
      : emptyState("Nothing has happened yet", h("p", null, "Finished and failed jobs, holds, folders that come and go, and the service's troubles are listed here."));

  draw();
  void load(false);
  live.addEventListener("changed", refresh, { signal });
}

/** @param {LogEvent[]} events */
function days(events) {
  /** @type {Map<string, LogEvent[]>} */
  const byDay = new Map();
  for (const event of events) {
    const day = dayName.format(new Date(event.at));
    byDay.set(day, [...(byDay.get(day) ?? []), event]);
  }
  return h("div", { key: "days", class: "days" }, [...byDay].map(([day, ones]) => h("section", { key: day, "aria-label": day }, h("h2", { class: "day" }, day), h("ol", { class: "events" }, ones.map(entry)))));
}

/** @param {LogEvent} event */
function entry(event) {
  const kind = BAD.includes(event.event) ? "is-bad" : HELD.includes(event.event) ? "is-held" : event.event === "job.done" ? "is-done" : "";
  const file = event.job === null ? null : h("a", { href: `#/jobs/${event.job}` }, event.path ? visible(event.path) : `Job ${event.job}`);
  return h(
    "li",
    { key: event.id, class: `event ${kind}` },
    h("time", { datetime: event.at }, clock.format(new Date(event.at))),
    h("div", null, h("p", { class: "event-title" }, h("strong", null, EVENTS[event.event] ?? visible(event.title)), file && h("span", null, " ", file)), h("p", null, sentence(event.message)), event.hint && h("p", { class: "hint" }, prose(event.hint))),
  );
}
