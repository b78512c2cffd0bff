// Renders dashboards as text, with Grafana's own library and the data of a real Prometheus.
//
// Standard input: {prometheus, files, variables: {job, instance, site, target}, time, range, step}, the
// last three in seconds; every query is evaluated at `time`, or over the `range` before it.
// Standard output, for each file the list of its panels: {title, type, empty, texts, error}. `texts` are
// the values of a stat, the rows of a table, the last value of each series of a graph.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);

// The library expects the globals of a browser.
const { window } = new (require("jsdom").JSDOM)("<!doctype html>", { url: "http://localhost/" });
globalThis.window = window;
for (const name of ["document", "localStorage", "HTMLElement", "Element", "Node", "DOMParser"]) {
  globalThis[name] = window[name];
}

const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const { prometheus, files, variables, time, range, step } = JSON.parse(readFileSync(0, "utf8"));
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
  "drawStyle", "axisPlacement", "stacking", "hideFrom",
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
    .replace(/\$(job|instance|site|target)\b/g, (_, name) => variables[name])
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
const text = (value) => grafana.formattedValueToString(value).replace(/\s+/g, " ").trim();

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
  return { title, type, empty: false, texts: texts(panel, data) };
}

function texts(panel, data) {
  if (panel.type === "table") {
    const [one] = data;
    const head = one.fields.map((field) => grafana.getFieldDisplayName(field, one, data));
    const row = (index) => one.fields.map((field) => text(field.display(field.values[index])));
    return [head, ...Array.from({ length: one.length }, (_, index) => row(index))].map((cells) =>
      cells.join(" | "),
    );
  }
  if (["stat", "gauge", "bargauge"].includes(panel.type)) {
    const values = grafana.getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      data,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: (value) => value,
      theme,
      timeZone,
    });
    return values.map(({ display }) => `${display.title ?? ""}: ${text(display)}`);
  }
  return data.flatMap((one) =>
    one.fields
      .filter((field) => field.type === "number")
      .map((field) => {
        const last = field.values[field.values.length - 1];
        return `${grafana.getFieldDisplayName(field, one, data)}: ${text(field.display(last))}`;
      }),
  );
}

const dashboards = [];
for (const file of files) {
  const panels = [];
  for (const panel of JSON.parse(readFileSync(file, "utf8")).panels) {
    const { title, type } = panel;
    try {
      panels.push(await render(panel));
    } catch (error) {
      panels.push({ title, type, empty: true, texts: [], error: String(error) });
    }
  }
  dashboards.push(panels);
}
process.stdout.write(JSON.stringify(dashboards));
