// Each inbox: whether it is there and how it is watched, its rules, what was left alone and why, what the rest will cost.

import { h, show } from "../dom.js";
import { get, post } from "../api.js";
import { count, minutes, price, size, visible } from "../format.js";
import { say, sayError } from "../messages.js";
import { failure, heading, loading, moments, prose, section } from "../parts.js";
import { MODES, trackName } from "../words.js";
import { verdict } from "../verdict.js";

/** @typedef {{files: {path: string, size: number, reason: string}[], next: string | null, isOpen: boolean}} Skipped */

/** @param {import("../app.js").Context} context */
export function inboxes({ live, root, signal, setTitle }) {
  setTitle("Inboxes and rules");
  /** @type {Config | null} */
  let config = null;
  /** @type {any} */
  let trouble = null;
  /** @type {Plan | "asking" | Error | null} */
  let plan = null;
  /** @type {Map<string, Skipped>} */
  const skipped = new Map();
  /** @type {Map<string, Explained | Error>} */
  const answers = new Map();

  const draw = () => {
    if (trouble) return show(root, heading("Inboxes and rules"), failure(trouble, () => void load()));
    if (!config) return show(root, heading("Inboxes and rules"), loading());
    const known = config;
    show(
      root,
      heading("Inboxes and rules", h("button", { type: "button", on: { click: () => void rescan() } }, "Scan now"), h("button", { type: "button", on: { click: () => void ask() } }, plan === "asking" ? "Pricing …" : "Price what waits")),
      planned(plan),
      known.inboxes.map((inbox) => card(inbox, live.status?.inboxes.find(({ path }) => path === inbox.path), skipped.get(inbox.path), answers.get(inbox.path))),
      settings(known),
    );
  };

  /** @param {InboxConfig} inbox @param {Folder | undefined} state @param {Skipped | undefined} left @param {Explained | Error | undefined} answer */
  const card = (inbox, state, left, answer) =>
    section(
      visible(inbox.path),
      { key: inbox.path, class: "inbox", beside: availability(state) },
      h(
        "dl",
        { class: "facts-list" },
        pair("Results go to", h("code", null, visible(inbox.outbox))),
        pair("Watched", watching(state)),
        pair("A file is finished", `when no program writes to it and it has not changed for ${moments(inbox.settle)}`),
        pair("Afterwards the source is", { move: `moved to ${inbox.done_dir}`, keep: "kept where it is", delete: "deleted" }[inbox.on_success] ?? inbox.on_success),
        inbox.ignore.length > 0 && pair("Ignored", h("span", { class: "matches" }, inbox.ignore.map((pattern) => h("code", null, pattern)))),
      ),
      h("h3", null, "Rules"),
      h("ol", { class: "rules" }, inbox.rules.map(ruleRow)),
      whyForm(inbox, answer),
      leftAlone(inbox, left),
    );

  /** @param {InboxConfig} inbox @param {Skipped | undefined} left */
  const leftAlone = (inbox, left) => {
    /** @param {any} event */
    const toggle = (event) => {
      if (event.target.open && !left) void loadSkipped(inbox.path);
    };
    return h(
      "details",
      { class: "left-alone", on: { toggle } },
      h("summary", null, "What was left alone, and why"),
      !left ? loading() : left.files.length ? h("ul", { class: "plain-list" }, left.files.map((file) => h("li", { key: file.path }, h("bdi", null, visible(file.path)), h("span", { class: "hint" }, ` ${size(file.size)}; `, prose(file.reason))))) : h("p", { class: "quiet" }, "Nothing: every file in this inbox was processed, or will be."),
      left?.next && h("button", { type: "button", class: "small", on: { click: () => void loadSkipped(inbox.path) } }, "Show more"),
    );
  };

  /** @param {InboxConfig} inbox @param {Explained | Error | undefined} answer */
  const whyForm = (inbox, answer) => {
    /** @param {any} event */
    const submit = async (event) => {
      event.preventDefault();
      const path = event.target.elements.path.value.trim();
      if (!path) return;
      answers.set(inbox.path, await get("api/explain", { inbox: inbox.path, path }, signal).catch((error) => error));
      draw();
    };
    return h(
      "form",
      { class: "why-form", on: { submit } },
      h("label", { class: "field" }, h("span", null, "Would a file be processed? Its path in this inbox"), h("input", { name: "path", placeholder: "album/song.wav", autocomplete: "off", spellcheck: "false" })),
      h("button", { type: "submit" }, "Explain"),
      answer && h("div", { class: "answer", role: "status" }, answer instanceof Error ? h("p", { class: "bad" }, answer.message) : verdict(answer)),
    );
  };

  /** @param {string} inbox */
  const loadSkipped = async (inbox) => {
    const known = skipped.get(inbox);
    try {
      const page = await get("api/skipped", { inbox, after: known?.next, limit: 100 }, signal);
      skipped.set(inbox, { files: [...(known?.files ?? []), ...page.files], next: page.next_after, isOpen: true });
    } catch (error) {
      if (!signal.aborted) sayError(error);
    }
    draw();
  };

  const rescan = async () => {
    try {
      const answer = await post("api/rescan", {});
      say(answer.daemon_running ? "Scanning the inboxes." : "lalald is not running; it scans when it starts.");
    } catch (error) {
      sayError(error);
    }
  };

  const ask = async () => {
    if (plan === "asking") return;
    plan = "asking";
    draw();
    plan = await get("api/plan", {}, signal).catch((error) => error);
    if (!signal.aborted) draw();
  };

  const load = async () => {
    trouble = null;
    try {
      config = await get("api/config", {}, signal);
    } catch (error) {
      if (signal.aborted) return;
      trouble = error;
    }
    draw();
  };

  draw();
  void load();
  live.addEventListener("status", draw, { signal });
}

/** @param {string} name @param {...import("../dom.js").Child} value */
function pair(name, ...value) {
  return h("div", null, h("dt", null, name), h("dd", null, ...value));
}

/** @param {Folder | undefined} state */
function availability(state) {
  if (!state || state.available === null) return h("span", { class: "state" }, "Not scanned yet");
  return state.available ? h("span", { class: "state is-good" }, "Available") : h("span", { class: "state is-bad" }, "Unavailable");
}

/** @param {Folder | undefined} state */
function watching(state) {
  if (state?.available === false) return [prose(state.reason ?? "not while it is unavailable")];
  if (!state?.watch) return ["not at the moment"];
  const how = { native: "at once, by the kernel's own events", polling: "by scanning" }[state.watch] ?? state.watch;
  return [how, state.watch_reason && state.watch !== "native" && [": ", prose(state.watch_reason)], state.reason && ["; ", prose(state.reason)]];
}

/** @param {Rule} rule */
function ruleRow(rule) {
  const patterns = rule.match?.length ? rule.match.map((pattern) => h("code", null, pattern)) : ["every ", rule.types === "any" ? "file" : "audio or video file"];
  const tracks = rule.tracks?.length ? `; only ${rule.tracks.map((track) => rule.labels?.[track] ?? trackName(track)).join(", ")}` : "";
  return h(
    "li",
    null,
    h("strong", null, rule.name),
    h("span", { class: "matches" }, patterns),
    h("ul", { class: "plain-list" }, rule.tasks.map((task) => h("li", null, MODES[task.mode] ?? task.mode, presetWords(task.presets), tracks))),
    h("span", { class: "hint" }, "to ", h("code", null, rule.output)),
  );
}

/** @param {Record<string, unknown>} presets */
function presetWords(presets) {
  const words = Object.entries(presets).map(([name, value]) => `${name.replaceAll("_", " ")} ${Array.isArray(value) ? value.join(", ") : value}`);
  return words.length ? `: ${words.join(", ")}` : "";
}

/** @param {Plan | "asking" | Error | null} plan */
function planned(plan) {
  if (plan === null || plan === "asking") return null;
  if (plan instanceof Error) return failure(plan);
  const waiting = plan.rules.filter((line) => line.new + line.waiting + line.held > 0);
  return section(
    "What waits will cost",
    { key: "plan", class: "plan" },
    waiting.length === 0
      ? h("p", null, "Nothing waits to be processed.")
      : h(
          "table",
          null,
          h("thead", null, h("tr", null, h("th", { scope: "col" }, "Rule"), ["New", "Waiting", "Held", "Minutes"].map((name) => h("th", { scope: "col", class: "figure" }, name)))),
          h("tbody", null, waiting.map((line) => h("tr", null, h("th", { scope: "row" }, line.rule), [line.new, line.waiting, line.held].map((number) => h("td", { class: "figure" }, number || "–")), h("td", { class: "figure" }, minutes(line.minutes))))),
        ),
    waiting.length > 0 && h("p", null, `In all ${count(plan.files, "file")}: ${price(plan.minutes, plan.unknown)}. `, plan.minutes_left !== null && `${minutes(plan.minutes_left)} are left.`),
    Object.entries(plan.left_alone).length > 0 && h("p", { class: "hint" }, "Left alone: ", Object.entries(plan.left_alone).map(([reason, files]) => `${count(files, "file")} (${visible(reason)})`).join(", ")),
    plan.troubles.map((trouble) => h("p", { class: "bad" }, prose(trouble))),
  );
}

/** @param {Config} config */
function settings(config) {
  const { reserve, per_file, per_day } = config.minutes;
  return section(
    "Limits",
    { key: "limits" },
    h(
      "dl",
      { class: "facts-list" },
      pair("Kept in reserve", minutes(reserve)),
      pair("At most a file", per_file === null ? "no limit" : minutes(per_file)),
      pair("At most a day", per_day === null ? "no limit" : minutes(per_day)),
      pair("License key", config.license_key),
      pair("Notifications", config.notify.length ? config.notify.join(", ") : "none"),
      config.path && pair("Configuration", h("code", null, config.path)),
    ),
    h("p", { class: "hint" }, "Rules and limits are changed in the configuration file, never here. ", h("code", null, "lalald check-config"), " checks it."),
  );
}
