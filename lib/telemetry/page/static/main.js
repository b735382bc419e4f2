// Connects to the job, and hands what it tells to the parts of the page.

import { Charts } from "./charts.js";
import { find, setText } from "./dom.js";
import { clock } from "./format.js";
import { showSearch } from "./search.js";
import * as sections from "./sections.js";

// Without an event for so long the job counts as gone.
const SILENCE_MS = 6_000;
const RETRY_MS = 2_000;

const charts = new Charts(find("charts"));
let facts = null;
let newest = null;
let heardMs = performance.now();

function connect() {
  const source = new EventSource("/events");
  source.addEventListener("begin", (event) => {
    const begin = JSON.parse(event.data);
    facts = begin.facts;
    charts.begin(begin.history);
    sections.showFacts(facts);
    showSearch(facts);
  });
  source.addEventListener("now", (event) => {
    newest = JSON.parse(event.data);
    heardMs = performance.now();
    document.body.classList.remove("stale");
    find("connection").dataset.is = "live";
    setText(find("connection"), `live, ${clock(newest.at_s, newest.at_s)}`);
    charts.add(newest.point);
    sections.show(newest, facts);
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close();
    // The job may ask for its token again.
    fetch("/page/main.js", { cache: "no-store" })
      .then((answer) => { if (answer.status === 401) location.assign("/login"); })
      .catch(() => {});
    setTimeout(connect, RETRY_MS);
  });
}

setInterval(() => {
  if (performance.now() - heardMs < SILENCE_MS || document.body.classList.contains("stale")) return;
  document.body.classList.add("stale");
  find("connection").dataset.is = "lost";
  setText(find("connection"), "no answer");
  sections.showSilence(newest, facts);
}, 1_000);

connect();
