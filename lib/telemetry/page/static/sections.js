// Shows what one event says: the verdict, the tiles, and the tables below the charts.

import { fillFacts, fillTable, find, make, number, setText } from "./dom.js";
import { UNKNOWN, bytes, clock, compact, count, duration, rate, share } from "./format.js";

const LEVELS = { well: "Well", wait: "Wait", look: "Have a look", act: "Act now" };
const MARKS = { well: "✓", wait: "…", look: "!", act: "✕" };
const FEW_EVENTS = 8;
const FEW_PLACES = 3;
const EVENTS = {
  starting: "Starting", taking_over: "Taking over", running: "Running", restarting: "Restarting",
  stuck: "Stuck", stopping: "Stopping", model: "Model", outcomes: "Outcomes", failure: "Failure", fenced: "Fenced", replay: "Replay",
  challenger: "Challenger", shadow: "Shadow",
  drift: "Drift", brake: "Brake",
};
const BAD_EVENTS = new Set(["restarting", "stuck", "failure", "fenced", "drift", "brake"]);
const PROCESSES = { driver: "Driver", jvm: "JVM of Spark", workers: "Python workers" };
let showsAllEvents = false;
let last = null;

export function showFacts(facts) {
  setText(find("query"), facts.query);
  const { input, predictions, dead_letters: letters } = facts.topics;
  setText(find("topics"), `${input} → ${predictions}, ${letters}`);
  find("documents").hidden = !facts.has_documents;
  const rows = (isDefault) => facts.settings
    .filter((row) => row.is_default === isDefault)
    .map((row) => [row.flag, { text: row.value || UNKNOWN, className: "wide-text" }]);
  fillTable(find("settings"), rows(false));
  fillTable(find("defaults"), rows(true));
}

export function show(now, facts) {
  last = now;
  showVerdict(now.findings, facts, describeState(now));
  showTiles(now);
  showPartitions(now);
  showLetters(now);
  showModel(now);
  showDrift(now);
  showQuality(now);
  showEvents(now);
  showProcesses(now);
  showBatches(now);
  const { version, commit, spark, python } = now.program;
  setText(find("program"), [
    version && `version ${version}`, commit && `commit ${commit}`, spark && `Spark ${spark}`, python && `Python ${python}`,
    `process ${facts.process} on ${facts.host}`, `started ${clock(now.started_s, now.at_s)}`,
  ].filter(Boolean).join(" · "));
}

// The job has ended, hangs, or cannot be reached.
export function showSilence(now, facts) {
  const at = now ? `The numbers below are those of ${clock(now.at_s, Date.now() / 1000)}.` : "";
  if (now?.state.state === "stopping") {
    showVerdict([{
      level: "wait", words: "The job has ended.", document: "",
      advice: "It was stopping when it was seen last. When it is started again, it resumes where it was.",
    }], facts, at);
    return;
  }
  showVerdict([{
    level: "act", words: "The job does not answer.", document: "",
    advice: "Unless it was stopped, look at the last line “error: …” of its log, and start it again: it resumes where it was. "
      + "docs/on_call.md says more under ScoringDown.",
  }], facts, at);
}

function describeState(now) {
  const { state, since_s: since } = now.state;
  return `${EVENTS[state] ?? state} since ${clock(since, now.at_s)}, for ${duration(Math.max(0, now.at_s - since))}.`;
}

function showVerdict(findings, facts, since) {
  const [first, ...others] = findings;
  find("verdict").dataset.level = first.level;
  setText(find("level"), `${MARKS[first.level]} ${LEVELS[first.level]}`);
  setText(find("words"), first.words);
  setAdvice(find("advice"), first, facts);
  setText(find("since"), since);
  const list = find("findings");
  while (list.children.length > others.length) list.lastChild.remove();
  others.forEach((finding, index) => {
    const item = list.children[index] ?? list.appendChild(make("li", {}, make("strong"), make("span"), " ", make("span")));
    setText(item.children[0], LEVELS[finding.level]);
    setText(item.children[1], finding.words);
    setAdvice(item.children[2], finding, facts);
  });
  const title = `${LEVELS[first.level]} – ${facts?.query ?? "scoring job"}`;
  if (document.title !== title) document.title = title;
  announce(first);
}

// Readers hear of another state, not of each new number in a sentence.
function announce(finding) {
  const kind = `${finding.level} ${finding.words.replace(/[\d,.]+/g, "")}`;
  const node = find("announcement");
  if (node.dataset.kind === kind) return;
  node.dataset.kind = kind;
  setText(node, `${LEVELS[finding.level]}: ${finding.words} ${finding.advice}`);
}

function setAdvice(node, finding, facts) {
  const href = finding.document && facts?.has_documents ? `/docs/${finding.document}` : "";
  const shown = `${finding.advice}|${href}`;
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  node.replaceChildren(finding.advice);
  if (href) node.append(" ", make("a", { href, textContent: "What to do, step by step" }));
}

function setTile(name, value, unit, more) {
  const node = find(name);
  if (node.dataset.shown !== `${value} ${unit}`) {
    node.dataset.shown = `${value} ${unit}`;
    node.replaceChildren(value);
    if (unit && value !== UNKNOWN) node.append(" ", make("small", { textContent: unit }));
  }
  setText(find(`${name}-more`), more);
}

function showTiles(now) {
  const point = now.point ?? {};
  const letters = now.dead_letters.reduce((sum, row) => sum + row.count, 0);
  setTile("rate", rate(point.rate), "/s", "in the last 10 s");
  const isKnown = point.lag_records !== null && point.lag_records !== undefined;
  const waits = point.lag_records ? `the oldest for ${duration(point.lag_s)}` : "everything that came is answered";
  setTile("lag", count(point.lag_records), "records", isKnown ? waits : "not known yet");
  const isRecent = point.p99_s !== null && point.p99_s !== undefined;
  const latency = isRecent ? point : now.latency;
  setTile("latency", duration(latency.p99_s), "", latency.p50_s === null ? "no record yet" : `half within ${duration(latency.p50_s)}${isRecent ? "" : ", since the start"}`);
  setTile("letters", count(letters), "", letters ? `${share(letters, now.records)} of all answers` : now.records ? "none since the start" : "no record yet");
  setTile("records", now.records < 1e7 ? count(now.records) : compact(now.records), "records", `since ${clock(now.started_s, now.at_s)}`);
  const model = now.model;
  find("model").className = "long";
  setTile("model", model ? model.scored_by : UNKNOWN, "", model ? `since ${clock(model.since_s, now.at_s)}${model.is_fallback ? ", a fallback" : ""}` : "none is loaded yet");
}

function showPartitions(now) {
  fillTable(find("partitions"), now.partitions.map((row) => [
    String(row.partition), number(count(row.records)), number(duration(row.age_s)), number(count(row.held_back)),
    number(count(row.answered)), number(count(row.end)),
  ]));
  const hidden = now.partition_count - now.partitions.length;
  const note = hidden ? `The ${now.partitions.length} that are furthest behind, of ${now.partition_count}.` : "Waiting counts up to the end; held back are those behind an open transaction.";
  setText(find("partitions-note"), now.partition_count ? note : "Nothing is known yet.");
}

function showLetters(now) {
  fillTable(find("letters-table"), now.dead_letters.map((row) => [
    row.rule, row.field || "whole record", number(count(row.count)),
    clock(row.first_s, now.at_s), clock(row.last_s, now.at_s),
    { text: (row.newest ?? []).slice(0, FEW_PLACES).map(([partition, offset]) => `${partition}@${offset}`).join("\n") || UNKNOWN, className: "places" },
  ]));
  find("letters-note").hidden = now.dead_letters.length > 0;
  const brake = now.brake;
  find("brake").hidden = !brake;
  if (!brake) return;
  const found = brake.share === null ? "fewer records than that so far" : share(brake.share, 1);
  setText(find("brake"), `Brake: ${brake.stops ? "stops" : "alerts"} above ${share(brake.limit, 1)} of the last ${count(brake.over)} records; now ${found}.`);
}

function describeRival(rival) {
  if (rival.role === "challenger") {
    const made = rival.share === null ? "no prediction yet" : `${share(rival.share, 1)} of the predictions`;
    return ["Challenger", `${rival.model}, ${made}, wanted ${share(rival.wanted_share, 1)}`];
  }
  const same = rival.agreement === null ? "nothing to compare yet" : `the champion's label for ${share(rival.agreement, 1)}`;
  const errors = Object.entries(rival.errors).map(([name, times]) => `${count(times)} ${name}`).join(", ");
  return ["Shadow", `${rival.model}, ${same}, ${errors ? `no answer for ${errors}` : "no errors"}`];
}

function showModel(now) {
  const model = now.model;
  const loads = Object.entries(now.model_loads).map(([name, times]) => `${name} ${times}×`).join(", ");
  fillFacts(find("model-facts"), model ? [
    ["Version", model.scored_by],
    ["Engine", model.engine + (model.is_fallback ? ", a fallback" : "")],
    ["Threshold", String(model.threshold)],
    ["In force since", `${clock(model.since_s, now.at_s)}, for ${duration(Math.max(0, now.at_s - model.since_s))}`],
    ...(now.refusal ? [["Refused", `${now.refusal.model}, ${clock(now.refusal.at_s, now.at_s)}: ${now.refusal.reason}`]] : []),
    ["Loads", loads || UNKNOWN],
    ...now.rivals.map(describeRival),
    ...(now.shadow_skipped_batches ? [["Batches without shadows", count(now.shadow_skipped_batches)]] : []),
  ] : [["Version", "none is loaded yet"]]);
  const labels = Object.entries(now.labels).sort(([, a], [, b]) => b - a);
  const all = labels.reduce((sum, [, times]) => sum + times, 0);
  fillTable(find("labels"), labels.map(([label, times]) => [label, number(count(times)), number(share(times, all))]));
}

function showDrift(now) {
  const drift = now.drift;
  find("drift").hidden = !drift;
  if (!drift) return;
  const judged = drift.model_version ? `${count(drift.records)} records of ${drift.model_version}, until ${clock(drift.ended_s, now.at_s)}.` : "No window has been judged yet.";
  const open = drift.open_since_s ? ` The open window has ${count(drift.open_records)}, since ${clock(drift.open_since_s, now.at_s)}.` : "";
  setText(find("drift-note"), judged + open);
  fillTable(find("drift-table"), drift.rows.map((row) => [
    row.name + (row.is_over ? " – drifted" : ""), number(row.psi.toFixed(3)), number(row.limit.toFixed(3)), number(share(row.unseen, 1)), number(share(row.missing, 1)),
  ]));
}

function showQuality(now) {
  find("quality").hidden = !now.outcomes;
  if (!now.outcomes) return;
  const figure = (value) => (value === null ? UNKNOWN : value.toFixed(3));
  fillTable(find("quality-table"), now.outcomes.versions.map((row) => [
    row.version,
    { text: `${figure(row.roc_auc)}\n${figure(row.roc_auc_low)}–${figure(row.roc_auc_high)}`, className: "places" },
    number(figure(row.training_roc_auc)), number(figure(row.brier)), number(count(row.labelled)),
    number(`${(100 * row.unlabelled_share).toFixed(1)} %`),
  ]));
  const below = now.outcomes.versions.filter((row) => row.is_below).map((row) => row.version);
  setText(find("quality-note"), `${below.length ? `Below the training: ${below.join(", ")}. ` : ""}`
    + `The newest complete weeks, as of ${clock(now.outcomes.as_of_s, now.at_s)}.`
    + (now.outcomes.versions.length ? "" : " No week is complete yet."));
}

function showEvents(now) {
  const list = find("events");
  const shown = showsAllEvents ? now.events : now.events.slice(0, FEW_EVENTS);
  const key = `${shown.length} ${now.events.length} ${now.events[0]?.at_s}`;
  find("events-more").hidden = showsAllEvents || now.events.length <= FEW_EVENTS;
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...shown.map((event) => {
    const tone = BAD_EVENTS.has(event.kind) ? "bad" : event.kind === "running" ? "good" : "";
    return make("li", {},
      make("time", { textContent: clock(event.at_s, now.at_s), dateTime: new Date(event.at_s * 1000).toISOString() }),
      make("span", { className: `what ${tone}`, textContent: EVENTS[event.kind] ?? event.kind }),
      make("span", { className: "text", textContent: event.text }));
  }));
}

find("events-more").addEventListener("click", () => {
  showsAllEvents = true;
  if (last) showEvents(last);
});

function showProcesses(now) {
  fillTable(find("processes"), Object.entries(now.processes).map(([name, use]) => [
    PROCESSES[name] ?? name, number(bytes(use.memory_bytes)), number(duration(use.cpu_s)), number(count(use.count)),
  ]));
  const heap = now.heap;
  const text = heap ? `The JVM uses ${bytes(heap.used_bytes)} of ${bytes(heap.max_bytes)} of its heap.` : "Nothing is known yet.";
  setText(find("processes-note"), text);
}

function showBatches(now) {
  const batch = now.last_batch;
  const restarts = Object.entries(now.restarts).map(([cause, times]) => `${cause} ${times}×`).join(", ");
  const errors = Object.entries(now.client_errors).map(([name, times]) => `${name} ${times}×`).join(", ");
  fillFacts(find("batch-facts"), [
    ["Batches with records", count(now.batches)],
    ["Newest batch", batch ? `${count(batch.records)} records in ${duration(batch.duration_ms / 1000)}` : UNKNOWN],
    ["Last commit", now.committed_s ? `${clock(now.committed_s, now.at_s)}, ${duration(Math.max(0, now.at_s - now.committed_s))} ago` : UNKNOWN],
    ["Left out", `${count(now.replayed)} messages that were written before`],
    ["Restarts", restarts || "none"],
    ["Taken over by another job", now.fenced ? `${now.fenced}×` : "never"],
    ["Errors of Kafka’s clients", errors || "none"],
  ]);
}
