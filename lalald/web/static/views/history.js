// Every job, newest first, filtered and paged on the server; what was charged by month and rule.

import { h, show } from "../dom.js";
import { act, cancel } from "../acts.js";
import { get } from "../api.js";
import { bars } from "../bars.js";
import { baseName, count, figure, length, minutes } from "../format.js";
import { emptyState, failure, fileName, gathered, heading, loading, pill, prose, section, time } from "../parts.js";
import { HOLDS, STAGES, STATES } from "../words.js";

const PAGE = 50;
const FILTERS = ["state", "hold", "text", "rule", "inbox", "day"];
/** @type {[Verb | "cancel", string][]} */
const VERBS = [["release", "Release"], ["retry", "Retry"], ["redo", "Process again"], ["cancel", "Cancel"]];

/** @param {import("../app.js").Context} context */
export function history({ live, root, query, signal, setTitle }) {
  setTitle("History");
  /** @type {Record<string, string>} */
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  /** @type {Job[] | null} */
  let jobs = null;
  /** @type {number | null} */
  let more = null;
  /** @type {any} */
  let trouble = null;
  /** @type {any} */
  let charged = null;
  /** @type {InboxConfig[]} */
  let inboxes = [];
  /** @type {Set<number>} */
  const chosen = new Set();
  let search = 0;

  const draw = () =>
    show(
      root,
      heading("History"),
      charged && charged.months?.length > 0 && section("Minutes by month", { key: "months", class: "months" }, bars(charged.months)),
      section(
        "Jobs",
        { key: "jobs", class: "jobs" },
        filterForm(filter, inboxes, onFilter),
        h("div", { key: "bar", class: "chosen-bar", role: "region", "aria-label": "Selected jobs", hidden: chosen.size === 0 }, chosenBar(jobs ?? [], chosen, after, clear)),
        trouble ? failure(trouble, () => void load(false)) : jobs === null ? loading() : jobs.length ? table(jobs, chosen, draw) : none(filter),
        more !== null && h("button", { key: "more", type: "button", class: "wide", on: { click: () => void load(true) } }, "Show older jobs"),
      ),
    );

  const clear = () => {
    chosen.clear();
    draw();
  };
  const after = () => {
    clear();
    refresh();
  };

  /** @param {string} name @param {string} value */
  const onFilter = (name, value) => {
    if (filter[name] === value) return;
    filter[name] = value;
    if (name === "state" && value !== "held") filter.hold = "";
    chosen.clear();
    const kept = new URLSearchParams(Object.entries(filter).filter(([, text]) => text));
    globalThis.history.replaceState(null, "", `#/history${kept.size ? `?${kept}` : ""}`);
    void load(false);
  };

  /** @param {boolean} isMore */
  const load = async (isMore) => {
    const mine = ++search;
    const before = isMore ? more : null;
    const limit = isMore ? PAGE : Math.min(200, Math.max(PAGE, jobs && !trouble ? jobs.length : 0));
    try {
      const page = await get("api/jobs", { ...filter, before, limit }, signal);
      if (mine !== search) return;
      jobs = isMore && jobs ? [...jobs, ...page.jobs] : page.jobs;
      more = page.next_before;
      trouble = null;
    } catch (error) {
      if (mine !== search || signal.aborted) return;
      trouble = error;
    }
    draw();
  };

  /** Jobs beyond the first 200 are history that does not change; those shown first are read again. */
  const refresh = gathered(async () => {
    if (!jobs || trouble) return void (await load(false));
    const page = await get("api/jobs", { ...filter, limit: 200 }, signal).catch(() => null);
    if (!page || !jobs || signal.aborted) return;
    const fresh = new Map(page.jobs.map((/** @type {Job} */ job) => [job.id, job]));
    const newest = jobs[0]?.id ?? 0;
    const oldest = page.next_before === null ? 0 : page.jobs.at(-1).id;
    const added = page.jobs.filter((/** @type {Job} */ job) => job.id > newest);
    jobs = [...added, ...jobs.flatMap((job) => fresh.get(job.id) ?? (job.id >= oldest ? [] : job))];
    draw();
  }, signal, 1000);

  draw();
  void load(false);
  live.addEventListener("changed", refresh, { signal });
  void get("api/history", { by: "month" }, signal).then((found) => ((charged = found), draw()), () => {});
  void get("api/config", {}, signal).then((config) => ((inboxes = config.inboxes), draw()), () => {});
}

/** @param {Record<string, string>} filter @param {InboxConfig[]} inboxes @param {(name: string, value: string) => void} onFilter */
function filterForm(filter, inboxes, onFilter) {
  /** @param {any} event */
  const change = (event) => onFilter(event.target.name, event.target.value.trim());
  let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  /** @param {any} event */
  const type = (event) => {
    clearTimeout(timer);
    timer = setTimeout(change, 250, event);
  };
  const rules = [...new Set(inboxes.flatMap((inbox) => inbox.rules.map((rule) => rule.name)))];
  return h(
    "form",
    { key: "filter", class: "filter", role: "search", on: { submit: (/** @type {any} */ event) => event.preventDefault() } },
    field("Name or number", h("input", { type: "search", name: "text", value: filter.text, placeholder: "song.wav or #12", on: { input: type } })),
    field("State", select("state", filter.state, [["", "All"], ...Object.entries(STATES)], change)),
    (filter.state === "held" || filter.hold) && field("Hold", select("hold", filter.hold, [["", "All"], ...Object.entries(HOLDS)], change)),
    rules.length > 1 && field("Rule", select("rule", filter.rule, [["", "All"], ...rules.map((rule) => [rule, rule])], change)),
    inboxes.length > 1 && field("Inbox", select("inbox", filter.inbox, [["", "All"], ...inboxes.map(({ path }) => [path, baseName(path)])], change)),
    field("Day", h("input", { type: "date", name: "day", value: filter.day, on: { change } })),
  );
}

/** @param {string} label @param {HTMLElement} input */
function field(label, input) {
  return h("label", { key: label, class: "field" }, h("span", null, label), input);
}

/** @param {string} name @param {string} value @param {string[][]} choices @param {(event: any) => void} change */
function select(name, value, choices, change) {
  const element = h("select", { name, on: { change } }, choices.map(([choice, label]) => h("option", { value: choice }, label)));
  element.value = value;
  element.setAttribute("value", value);
  return element;
}

/** @param {Job[]} jobs @param {Set<number>} chosen @param {() => Promise<void> | void} after @param {() => void} clear */
function chosenBar(jobs, chosen, after, clear) {
  const selected = jobs.filter((job) => chosen.has(job.id));
  const buttons = VERBS.flatMap(([verb, label]) => {
    const ids = selected.filter((job) => job.actions[verb]).map((job) => job.id);
    if (!ids.length) return [];
    const press = async () => {
      const did = verb === "cancel" ? await cancel(ids, `job ${ids[0]}`) : await act(verb, { ids });
      if (did) await after();
    };
    return h("button", { key: verb, type: "button", class: "small", on: { click: () => void press() } }, `${label} ${ids.length === selected.length ? "" : figure(ids.length)} …`.replace("  ", " "));
  });
  return [h("span", { key: "count" }, `${count(selected.length, "job")} selected`), ...buttons, h("button", { key: "clear", type: "button", class: "plain", on: { click: clear } }, "Clear")];
}

/** @param {Job[]} jobs @param {Set<number>} chosen @param {() => void} draw */
function table(jobs, chosen, draw) {
  const all = jobs.every((job) => chosen.has(job.id));
  const toggleAll = () => {
    for (const job of jobs) all ? chosen.delete(job.id) : chosen.add(job.id);
    draw();
  };
  return h(
    "table",
    { key: "table", class: "job-table" },
    h("caption", { class: "unseen" }, "Jobs, newest first"),
    h(
      "thead",
      null,
      h("tr", null, h("th", { class: "select" }, checkbox(all, "Select all jobs shown", toggleAll)), ["File", "State", "Rule", "Length", "Minutes", "Added"].map((name) => h("th", { scope: "col", class: ["Length", "Minutes"].includes(name) ? "figure" : null }, name))),
    ),
    h("tbody", null, jobs.map((job) => row(job, chosen, draw))),
  );
}

/** @param {Job} job @param {Set<number>} chosen @param {() => void} draw */
function row(job, chosen, draw) {
  const toggle = () => {
    chosen.has(job.id) ? chosen.delete(job.id) : chosen.add(job.id);
    draw();
  };
  return h(
    "tr",
    { key: job.id, class: chosen.has(job.id) ? "is-chosen" : null },
    h("td", { class: "select" }, checkbox(chosen.has(job.id), `Select job ${job.id}`, toggle)),
    h("td", { class: "name" }, h("a", { href: `#/jobs/${job.id}` }, fileName(job.path)), reason(job)),
    h("td", { class: "state-cell" }, pill(job.state)),
    h("td", { class: "rule" }, job.rule ?? "–"),
    h("td", { class: "figure length" }, length(job.duration)),
    h("td", { class: "figure" }, job.minutes ? minutes(job.minutes) : "–"),
    h("td", { class: "when" }, time(job.created_at)),
  );
}

/** @param {Job} job */
function reason(job) {
  const text = job.state === "failed" ? job.error : job.state === "held" ? job.hold_reason : job.state === "running" ? `${STAGES[job.stage] ?? job.stage}, ${Math.round(job.progress)} %` : job.warning;
  return text && h("span", { class: "why" }, prose(text));
}

/** @param {boolean} checked @param {string} label @param {() => void} toggle */
function checkbox(checked, label, toggle) {
  return h("input", { type: "checkbox", checked, "aria-label": label, on: { change: toggle } });
}

/** @param {Record<string, string>} filter */
function none(filter) {
  return Object.values(filter).some(Boolean)
    ? emptyState("No job matches", h("p", null, "Change the filter, or ", h("a", { href: "#/history" }, "show all jobs"), "."))
    : emptyState("No jobs yet", h("p", null, "Every file that lalald processes is listed here, with its price and its results."), h("a", { class: "button", href: "#/add" }, "Add files"));
}
