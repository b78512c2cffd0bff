// Renders dashboards as text, with Grafana's own library and the data of a real Prometheus.
//
// Standard input: {prometheus, files, variables: {job, firm, instance, site, target, reason}, time, range, step, widths,
// screenshots}; `time`, `range` and `step` are in seconds, and every query is evaluated at `time`, or
// over the `range` before it. `screenshots` is null or the directory for them.
// Standard output, for each file {panels, problems}. A panel is {title, type, empty, texts, error}: `texts` are
// the values of a stat, the rows of a table, the last value of each series of a graph. `problems` are
// the texts that a viewer could not read in a window of these widths.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { findProblems } from "./dashboard_page.mjs";

const require = createRequire(import.meta.url);

// The library expects the globals of a browser.
const { window } = new (require("jsdom").JSDOM)("<!doctype html>", { url: "http://localhost/" });
globalThis.window = window;
for (const name of ["document", "localStorage", "HTMLElement", "Element", "Node", "DOMParser"]) {
  globalThis[name] = window[name];
}

const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const { prometheus, files, variables, time, range, step, ...view } = JSON.parse(readFileSync(0, "utf8"));
const theme = grafana.createTheme();
const timeZone = "Asia/Hong_Kong";

const transformers = new Map();
for (const one of Object.values(grafana.standardTransformers)) transformers.set(one.id, one);
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one })),
);

// The field properties that the dashboards set. Grafana's own registry is part of its front end.
const STANDARD = [
  "unit", "min", "max", "decimals", "displayName", "noValue", "thresholds", "mappings", "links",
  "color", "filterable", "fieldMinMax", "description", "actions",
];
const CUSTOM = [
  "cellOptions", "width", "minWidth", "align", "lineStyle", "lineWidth", "fillOpacity", "showPoints",
  "drawStyle", "axisPlacement", "stacking", "hideFrom", "wrapText", "wrapHeaderText",
];
const property = (id, isCustom) => ({
  id: isCustom ? `custom.${id}` : id,
  path: id,
  name: id,
  isCustom,
  process: (value) => value,
  shouldApply: () => true,
  getItemsCount: () => 0,
});
const registry = new grafana.FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((id) => property(id, false)),
  ...CUSTOM.map((id) => property(id, true)),
]);

// Replaces variables as Grafana's front end does.
const expand = (expression) =>
  expression
    .replace(/\$(job|firm|instance|site|target|reason)\b/g, (_, name) => variables[name])
    .replaceAll("$__rate_interval", "60s")
    .replaceAll("$__range", `${range}s`)
    .replaceAll("$__interval", `${step}s`);

async function query(target) {
  const body = new URLSearchParams({ query: expand(target.expr) });
  let path = "query";
  if (target.instant) body.set("time", String(time));
  else {
    path = "query_range";
    body.set("start", String(time - range));
    body.set("end", String(time));
    body.set("step", String(step));
  }
  const response = await fetch(`${prometheus}/api/v1/${path}`, { method: "POST", body });
  const { status, error, data } = await response.json();
  if (status !== "success") throw new Error(`${target.refId}: ${error}`);
  const frames = data.result.map((series) => frame(target, series));
  if (frames.length === 0) return [{ refId: target.refId, fields: [], length: 0 }];
  return target.format === "table" ? [table(target, frames)] : frames;
}

function frame(target, series) {
  const samples = series.values ?? [series.value];
  const legend =
    target.legendFormat === undefined || target.legendFormat === "__auto"
      ? undefined
      : target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, name) => series.metric[name] ?? "");
  const timestamp = { name: "Time", type: "time", config: {}, values: samples.map(([seconds]) => seconds * 1000) };
  const value = {
    name: "Value",
    type: "number",
    labels: series.metric,
    config: legend === undefined ? {} : { displayNameFromDS: legend },
    values: samples.map(([, number]) => Number(number)),
  };
  return { refId: target.refId, name: legend, length: samples.length, fields: [timestamp, value] };
}

// Builds a table from instant vectors as Grafana's Prometheus data source does.
function table(target, frames) {
  const labels = [...new Set(frames.flatMap((one) => Object.keys(one.fields[1].labels)))].sort();
  const column = (name) => ({
    name,
    type: "string",
    config: { filterable: true },
    values: frames.map((one) => one.fields[1].labels[name] ?? ""),
  });
  const first = (index) => frames.map((one) => one.fields[index].values[0]);
  return {
    refId: target.refId,
    length: frames.length,
    fields: [
      { name: "Time", type: "time", config: {}, values: first(0) },
      ...labels.map(column),
      { name: "Value", type: "number", config: {}, values: first(1) },
    ],
  };
}

// Collapses white space as HTML does.
const collapsed = (text) => text.replace(/\s+/g, " ").trim();

async function render(panel) {
  const { title, type } = panel;
  if (type === "text") return { title, type, empty: false, texts: [panel.options.content] };
  const frames = (await Promise.all(panel.targets.map(query))).flat();
  if (frames.every((one) => one.length === 0)) {
    return { title, type, empty: true, texts: [panel.fieldConfig.defaults.noValue] };
  }
  const transformed = await firstValueFrom(
    grafana.transformDataFrame(panel.transformations ?? [], frames),
  );
  const data = grafana.applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    replaceVariables: (value) => value,
    theme,
    fieldConfigRegistry: registry,
    timeZone,
  });
  return { title, type, empty: false, ...drawn(panel, data) };
}

// What the panel shows: `texts`, and for tables and stats the parts that `dashboard_page.mjs` draws.
function drawn(panel, data) {
  if (panel.type === "table") {
    const [one] = data;
    const fields = one.fields.filter((field) => !field.config.custom?.hideFrom?.viz);
    const columns = fields.map((field) => ({
      name: grafana.getFieldDisplayName(field, one, data),
      ...field.config.custom,
    }));
    const cell = (field, index) => grafana.formattedValueToString(field.display(field.values[index]));
    const rows = Array.from({ length: one.length }, (_, index) => fields.map((field) => cell(field, index)));
    const texts = [columns.map(({ name }) => name), ...rows].map((cells) => collapsed(cells.join(" | ")));
    return { texts, columns, rows };
  }
  if (["stat", "gauge", "bargauge"].includes(panel.type)) {
    const shown = grafana.getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      data,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: (value) => value,
      theme,
      timeZone,
    });
    const values = shown.map(({ display }) => ({
      name: display.title ?? "",
      value: grafana.formattedValueToString(display),
    }));
    return { texts: values.map(({ name, value }) => `${name}: ${collapsed(value)}`), values };
  }
  const texts = data.flatMap((one) =>
    one.fields
      .filter((field) => field.type === "number")
      .map((field) => {
        const last = grafana.formattedValueToString(field.display(field.values[field.values.length - 1]));
        return `${grafana.getFieldDisplayName(field, one, data)}: ${collapsed(last)}`;
      }),
  );
  return { texts };
}

const dashboards = [];
for (const file of files) {
  const panels = [];
  for (const panel of JSON.parse(readFileSync(file, "utf8")).panels) {
    const { title, type, gridPos, options } = panel;
    try {
      panels.push({ gridPos, options, ...(await render(panel)) });
    } catch (error) {
      panels.push({ title, type, gridPos, empty: true, texts: [], error: String(error) });
    }
  }
  dashboards.push(panels);
}
const { widths, screenshots } = view;
const screenshot = (index, width) => join(screenshots, `${basename(files[index], ".json")}-${width}.png`);
const problems = await findProblems(dashboards, widths, screenshots ? screenshot : null);
process.stdout.write(JSON.stringify(dashboards.map((panels, index) => ({ panels, problems: problems[index] }))));
