// What a person would read on a dashboard, by Grafana's own library from a real Prometheus. On
// standard input: {prometheus, file, variables: {job, instance, site, target}, range, step} (seconds).
// On standard output, for each panel: {id, title, type, empty, texts, error}; `texts` are the values
// of a stat, the cells of a table row by row, the last value of each series of a graph.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);

// The library is made for a browser and looks for one.
const { window } = new (require("jsdom").JSDOM)("<!doctype html>", { url: "http://localhost/" });
globalThis.window = window;
for (const name of ["document", "localStorage", "HTMLElement", "Element", "Node", "DOMParser"]) {
  globalThis[name] = window[name];
}

const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const { prometheus, file, variables, range, step } = JSON.parse(readFileSync(0, "utf8"));
const dashboard = JSON.parse(readFileSync(file, "utf8"));
// To the millisecond: a whole second would lie before the scrape that was just awaited.
const now = Date.now() / 1000;
const theme = grafana.createTheme();
const timeZone = "Asia/Hong_Kong";

const transformers = new Map();
for (const one of Object.values(grafana.standardTransformers)) transformers.set(one.id, one);
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one })),
);

// The properties of a field that the dashboards set. Grafana's own registry is in its front end.
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

// As the front end replaces them.
const expand = (expression) =>
  expression
    .replace(/\$(job|instance|site|target)\b/g, (_, name) => variables[name])
    .replaceAll("$__rate_interval", "60s")
    .replaceAll("$__range", `${range}s`)
    .replaceAll("$__interval", `${step}s`);

async function ask(target) {
  const question = new URLSearchParams({ query: expand(target.expr) });
  let path = "query";
  if (target.instant) question.set("time", String(now));
  else {
    path = "query_range";
    question.set("start", String(now - range));
    question.set("end", String(now));
    question.set("step", String(step));
  }
  const response = await fetch(`${prometheus}/api/v1/${path}`, { method: "POST", body: question });
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(`${target.refId}: ${answer.error}`);
  const frames = answer.data.result.map((series) => frame(target, series));
  if (frames.length === 0) return [{ refId: target.refId, fields: [], length: 0 }];
  return target.format === "table" ? [table(target, frames)] : frames;
}

function frame(target, series) {
  const points = series.values ?? [series.value];
  const legend =
    target.legendFormat === undefined || target.legendFormat === "__auto"
      ? undefined
      : target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, name) => series.metric[name] ?? "");
  const time = { name: "Time", type: "time", config: {}, values: points.map((one) => one[0] * 1000) };
  const value = {
    name: "Value",
    type: "number",
    labels: series.metric,
    config: legend === undefined ? {} : { displayNameFromDS: legend },
    values: points.map((one) => Number(one[1])),
  };
  return { refId: target.refId, name: legend, length: points.length, fields: [time, value] };
}

// As the Prometheus data source makes a table of instant vectors.
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

// As HTML shows it: spaces collapse.
const text = (value) => grafana.formattedValueToString(value).replace(/\s+/g, " ").trim();

async function render(panel) {
  const { id, title, type } = panel;
  if (type === "text") return { id, title, type, empty: false, texts: [panel.options.content] };
  const frames = (await Promise.all(panel.targets.map(ask))).flat();
  if (frames.every((one) => one.length === 0)) {
    return { id, title, type, empty: true, texts: [panel.fieldConfig.defaults.noValue] };
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
  return { id, title, type, empty: false, texts: texts(panel, data) };
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

const panels = [];
for (const panel of dashboard.panels) {
  const { id, title, type } = panel;
  try {
    panels.push(await render(panel));
  } catch (error) {
    panels.push({ id, title, type, empty: true, texts: [], error: String(error) });
  }
}
process.stdout.write(JSON.stringify(panels));
