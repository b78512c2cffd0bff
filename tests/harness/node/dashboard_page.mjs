// Draws dashboards in Chromium as Grafana lays them out, with its font, and reports what a viewer could
// not read. Tables and stats are drawn as text in boxes of the size that Grafana gives them; graphs stay
// blank, since Grafana draws them on a canvas.

import { readFileSync } from "node:fs";
import { launch, TIMEOUT } from "./browser.mjs";

const FONT = readFileSync(
  new URL("node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2", import.meta.url),
);

// Grafana's grid: 24 columns, rows of 30 pixels, gaps of 8.
const GAP = 8;
const ROW = 30;
// What the docked menu and the margins take from a window.
const MENU = 300;
const MARGIN = 16;
const DOCKS_FROM = 1440;
// What the frame of a panel takes: its borders and padding, and its header at the top.
const FRAME = 18;
const HEADER = 40;
// The icon with the description, and the padding of the header.
const HEADER_EXTRAS = 48;
// Padding and border of a table's cell, and the scroll bar of a table that is longer than its panel.
const CELL_EXTRAS = 13;
const SCROLL_BAR = 10;
const LINE = 22;
// Grafana's width of a column that states none.
const COLUMN_MINIMUM = 150;
// Between the values of a stat, and the shape from which name and value share a line.
const STAT_GAP = 3;
const WIDE = 2.5;

const STYLE = `
@font-face { font-family: Inter; font-weight: 100 900;
  src: url(data:font/woff2;base64,${FONT.toString("base64")}) format("woff2") }
* { box-sizing: border-box }
body { margin: 0; font: 14px/22px Inter; color: #ccccdc; background: #111217; letter-spacing: 0.01071em }
[data-panel], .value, .nothing { position: absolute }
[data-panel] { background: #181b1f; border: 1px solid #2f3037 }
.title { position: absolute; top: 8px; left: 8px; font-weight: 500; white-space: nowrap; overflow: hidden }
.content { position: absolute; top: ${HEADER}px; left: 8px; overflow: hidden }
.row { display: flex; border-bottom: 1px solid #2f3037 }
.cell { flex: none; padding: 6px; border-right: 1px solid transparent; overflow: hidden; white-space: nowrap }
.head { font-weight: 500 }
.wrap { white-space: pre-line }
.value { display: flex; flex-wrap: wrap; overflow: hidden; line-height: 1.2; align-content: center }
.wide { flex-direction: row; align-items: center; justify-content: space-between }
.stacked { flex-direction: column; flex-wrap: nowrap; justify-content: center }
.value b { font-weight: 500 }
.nothing { inset: 0; display: grid; place-content: center; text-align: center }
`;

const escaped = (text) =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const box = ({ left = 0, top = 0, width, height }) =>
  `left:${left}px;top:${top}px;width:${width}px;height:${height}px`;

// The largest squares that fit are the boxes, and a row fills its width.
function grid(width, height, count) {
  const sizes = Array.from({ length: count }, (_, index) => index + 1);
  const square = Math.max(
    ...sizes
      .flatMap((parts) => [width / parts, height / parts])
      .filter((size) => Math.floor(width / size) * Math.floor(height / size) >= count),
  );
  const rows = Math.ceil(count / Math.max(1, Math.floor(width / square)));
  const columns = Math.ceil(count / rows);
  const part = (whole, parts) => (whole - STAT_GAP * (parts - 1)) / parts;
  return sizes.map((number) => {
    const row = Math.floor((number - 1) / columns);
    const inRow = row === rows - 1 ? count - columns * (rows - 1) : columns;
    const [w, h] = [part(width, inRow), part(height, rows)];
    const left = ((number - 1) % columns) * (w + STAT_GAP);
    return { left, top: row * (h + STAT_GAP), width: w, height: h };
  });
}

function stat({ values, options }, { width, height }) {
  const { titleSize, valueSize } = options.text ?? {};
  const boxes =
    options.orientation === "horizontal"
      ? values.map((_, index) => {
          const h = (height + STAT_GAP) / values.length - STAT_GAP;
          return { top: index * (h + STAT_GAP), width, height: h };
        })
      : grid(width, height, values.length);
  return values
    .map(({ name, value }, index) => {
      const { width, height } = boxes[index];
      const isWide = options.wideLayout !== false && width / height > WIDE;
      const padding = height > 100 ? 12 : 8;
      const shown = [
        // Without a size of its own, Grafana makes the text as small as it takes.
        options.textMode === "value_and_name" && [name, titleSize ?? 0],
        [options.textMode === "name" ? name : value, valueSize ?? 0],
      ].filter(Boolean);
      const texts = shown.map(([text, size]) => `<b style="font-size:${size}px">${escaped(text)}</b>`);
      return `<div class="value ${isWide ? "wide" : "stacked"}"
        style="${box(boxes[index])};padding:${padding}px">${texts.join("")}</div>`;
    })
    .join("");
}

function table({ columns, rows }, { width, height }, isLong = false) {
  const available = width - (isLong ? SCROLL_BAR : 0);
  const stated = columns.reduce((sum, column) => sum + (column.width ?? 0), 0);
  const others = columns.filter((column) => !column.width).length;
  const widths = columns.map(
    (column) => column.width || Math.max(column.minWidth ?? COLUMN_MINIMUM, (available - stated) / others),
  );
  const cells = (texts, kind, wraps) =>
    `<div class="row">${texts
      .map(
        (text, index) =>
          `<div class="cell ${kind} ${columns[index][wraps] ? "wrap" : ""}"
            style="width:${widths[index]}px">${escaped(text)}</div>`,
      )
      .join("")}</div>`;
  const total = widths.reduce((sum, one) => sum + one, 0);
  // A table longer than its panel gets a scroll bar; its rows are at least one line high.
  if (!isLong && (rows.length + 1) * (LINE + CELL_EXTRAS) > height) {
    return table({ columns, rows }, { width, height }, true);
  }
  const head = cells(columns.map(({ name }) => name), "head", "wrapHeaderText");
  const body = rows.map((row) => cells(row, "", "wrapText")).join("");
  return `<div data-excess="${Math.max(0, total - available)}">${head}${body}</div>`;
}

function content(panel, size) {
  if (panel.type === "text") return "";
  if (panel.empty) return `<div class="nothing">${escaped(panel.texts[0] ?? "")}</div>`;
  if (panel.type === "stat") return stat(panel, size);
  if (panel.type === "table") return table(panel, size);
  return "";
}

function page(panels, window) {
  const width = window - (window >= DOCKS_FROM ? MENU : 0) - 2 * MARGIN;
  const column = (width - 23 * GAP) / 24;
  const drawn = panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const outer = { width: w * column + (w - 1) * GAP, height: h * ROW + (h - 1) * GAP };
    const place = { left: MARGIN + x * (column + GAP), top: MARGIN + y * (ROW + GAP), ...outer };
    const size = { width: outer.width - FRAME, height: outer.height - HEADER - FRAME / 2 - 1 };
    const scrolls = panel.type === "table" && !panel.empty ? ";overflow-y:scroll;scrollbar-width:none" : "";
    return `<section data-panel="${escaped(panel.title)}" style="${box(place)}">
      <div class="title" style="max-width:${outer.width - HEADER_EXTRAS}px">${escaped(panel.title)}</div>
      <div class="content" style="width:${size.width}px;height:${size.height}px${scrolls}">${content(panel, size)}</div>
    </section>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboard</title>
    <style>${STYLE}</style><body>${drawn.join("")}</body></html>`;
}

// For each dashboard (a list of panels), the list of its problems at these widths of the window.
// `screenshots` is null or a function that names a file.
export async function findProblems(dashboards, widths, screenshots) {
  const browser = await launch(["--hide-scrollbars"]);
  try {
    const results = [];
    for (const [index, panels] of dashboards.entries()) {
      const problems = [];
      for (const width of widths) {
        const tab = await browser.newPage();
        await tab.setViewport({ width, height: 2400 });
        await tab.setContent(page(panels, width), { waitUntil: "load", timeout: TIMEOUT });
        const found = await tab.evaluate(measure);
        problems.push(...found.map((one) => `at ${width} px: ${one}`));
        if (screenshots) await tab.screenshot({ path: screenshots(index, width), fullPage: true });
        await tab.close();
      }
      results.push(problems);
    }
    return results;
  } finally {
    await browser.close();
  }
}

// Runs in the page.
async function measure() {
  const NORMAL = 14;
  const problems = [];
  await document.fonts.ready;
  if (![...document.fonts].some(({ status }) => status === "loaded")) problems.push("the font is not loaded");
  for (const panel of document.querySelectorAll("[data-panel]")) {
    const report = (what, element) =>
      problems.push(`${panel.dataset.panel}: ${what}: ${element.textContent.trim().slice(0, 80)}`);
    for (const one of panel.querySelectorAll("[data-excess]")) {
      if (Number(one.dataset.excess) > 1) report(`the columns are ${one.dataset.excess} px too wide`, one);
    }
    for (const element of panel.querySelectorAll("*")) {
      const isText = [...element.childNodes].some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "",
      );
      if (!isText) continue;
      const size = parseFloat(getComputedStyle(element).fontSize);
      if (size < NORMAL) report(`${size} px is too small`, element);
      const range = document.createRange();
      range.selectNodeContents(element);
      const text = range.getBoundingClientRect();
      const outer = element.closest(".cell, .value, .title, .content");
      const edges = outer.getBoundingClientRect();
      const isTable = outer.matches(".cell");
      // Grafana cuts a cell at its edge, behind the padding.
      const isCut =
        text.right > edges.right + 1 || text.left < edges.left - 1 ||
        (!isTable && (text.bottom > edges.bottom + 1 || text.top < edges.top - 1));
      if (isCut) report("is cut off", element);
    }
  }
  return problems;
}
