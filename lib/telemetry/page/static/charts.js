// Draws the charts of the last hour. Each chart is made once, and gets the same arrays again and
// again, so that nothing grows while the page stays open.

import uPlot from "./uplot.js";
import { fillTable, make, number, setText } from "./dom.js";
import * as format from "./format.js";

const HEIGHT = 170;
const TABLE_STEP_S = 60;
const MOST_POINTS = 1800;
const COLOURS = ["one", "two", "three"];
const CHARTS = [
  { title: "Answers per second", write: format.rate, axis: format.compact,
    series: [["rate", "answers"], ["dead_letter_rate", "dead letters"]] },
  { title: "Latency, from record to commit", write: format.duration, axis: format.duration,
    series: [["p50_s", "50 %"], ["p95_s", "95 %"], ["p99_s", "99 %"]] },
  { title: "Records that wait", write: format.count, axis: format.compact, series: [["lag_records", "waiting"]] },
  { title: "Age of the oldest record that waits", write: format.duration, axis: format.duration, series: [["lag_s", "oldest"]] },
  { title: "Memory of all processes", write: format.bytes, axis: format.bytes, series: [["memory_bytes", "in use"]], base: 1024 },
  { title: "Processors in use", write: format.processors, axis: format.compact, series: [["cpu", "processors"]] },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export class Charts {
  constructor(holder) {
    this.columns = {};
    this.rangeS = 300;
    this.charts = CHARTS.map((spec) => new Chart(holder, spec, this));
    document.addEventListener("themechange", () => this.redraw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    for (const choice of document.querySelectorAll("#range input")) {
      choice.addEventListener("change", () => { this.rangeS = Number(choice.value); this.update(); });
    }
  }

  // Replaces all points by those of the server.
  begin(columns) {
    this.columns = columns;
    this.update();
  }

  // Adds a point unless it is known.
  add(point) {
    const times = this.columns.at_s;
    if (!point || !times || point.at_s <= (times.at(-1) ?? 0)) return;
    for (const [name, values] of Object.entries(this.columns)) {
      values.push(point[name]);
      if (values.length > MOST_POINTS) values.shift();
    }
    this.update();
  }

  update() { for (const chart of this.charts) chart.update(); }

  redraw() { for (const chart of this.charts) chart.plot.redraw(false); }
}

class Chart {
  constructor(holder, spec, charts) {
    this.spec = spec;
    this.charts = charts;
    this.legend = make("p", { className: "legend" });
    const place = make("div", { className: "plot" });
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `Chart: ${spec.title}. The table below has its numbers.`);
    this.table = makeTable(spec);
    this.details = make("details", {}, make("summary", { textContent: "Numbers, minute by minute" }), this.table);
    this.details.addEventListener("toggle", () => this.updateTable());
    holder.append(make("figure", { className: "chart" }, make("h3", { textContent: spec.title }), this.legend, place, this.details));
    this.values = spec.series.map(([, label], index) => {
      const value = make("b");
      this.legend.append(make("span", {}, make("i", { className: COLOURS[index] }), `${label} `, value));
      return value;
    });
    this.plot = new uPlot(this.describe(place.clientWidth), [[]], place);
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }

  describe(width) {
    const { spec } = this;
    const axis = {
      stroke: () => colour("muted"), font: "12px system-ui, sans-serif",
      grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false },
    };
    return {
      width, height: HEIGHT, legend: { show: false },
      padding: [8, 4, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "time" } },
      hooks: { setCursor: [() => this.updateLegend()] },
      scales: {
        x: { range: () => { const end = this.charts.columns.at_s?.at(-1) ?? 0; return [end - this.charts.rangeS, end]; } },
        y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.1 : 1] },
      },
      axes: [
        { ...axis, size: 26, gap: 6, space: 70, values: (_, ticks) => ticks.map((at) => format.clock(at, at).slice(0, this.charts.rangeS > 300 ? 5 : 8)) },
        { ...axis, size: 58, space: 36, ...(spec.base ? { incrs: BINARY } : {}), values: (_, ticks) => ticks.map(spec.axis) },
      ],
      series: [{}, ...spec.series.map(([, label], index) => ({
        label, stroke: () => colour(COLOURS[index]), width: 1.75, points: { show: false },
        fill: spec.series.length === 1 ? () => `${colour(COLOURS[index])}1a` : undefined,
      }))],
    };
  }

  update() {
    const { columns } = this.charts;
    this.plot.setData([columns.at_s ?? [], ...this.spec.series.map(([name]) => columns[name] ?? [])]);
    this.updateLegend();
    this.updateTable();
  }

  // Shows the values under the pointer, or else the newest.
  updateLegend() {
    if (!this.plot) return;
    const times = this.plot.data[0];
    const index = this.plot.cursor.idx ?? times.length - 1;
    this.values.forEach((node, column) => setText(node, this.spec.write(this.plot.data[column + 1]?.[index])));
  }

  // Fills the table with the last value of each minute, the newest first, if somebody reads it.
  updateTable() {
    if (!this.details.open) return;
    const { columns } = this.charts;
    const times = columns.at_s ?? [];
    const rows = [];
    let minute = Infinity;
    for (let index = times.length - 1; index >= 0; index -= 1) {
      if (Math.floor(times[index] / TABLE_STEP_S) >= minute) continue;
      minute = Math.floor(times[index] / TABLE_STEP_S);
      rows.push([format.clock(times[index], times.at(-1)), ...this.spec.series.map(([name]) => number(this.spec.write(columns[name][index])))]);
    }
    fillTable(this.table, rows);
  }
}

// Steps of an axis for memory: powers of two.
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);

function makeTable(spec) {
  const head = make("tr", {}, make("th", { scope: "col", textContent: "Time" }));
  for (const [, label] of spec.series) head.append(make("th", { scope: "col", className: "number", textContent: label }));
  return make("table", {}, make("caption", { className: "unseen", textContent: spec.title }), make("thead", {}, head), make("tbody"));
}
