// Opens pages in Chromium and reports what a user would see, and every problem.
//
// Standard input: {views: [{name, url, width, dark, screenshot, height, pdf}]}. `screenshot`
// and `pdf` are files to write; without `height` a screenshot shows the whole page.
// Standard output, for each view: {name, status, title, text, problems, violations, overflows,
// activeElements}.

import { readFileSync } from "node:fs";
import { launch, TIMEOUT } from "./browser.mjs";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// The other rules depend on the document and the width, and are checked in the light view.
const COLOR_RULES = { type: "rule", values: ["color-contrast", "link-in-text-block"] };
const { views } = JSON.parse(readFileSync(0, "utf8"));

const browser = await launch(["--hide-scrollbars", "--force-color-profile=srgb"]);
try {
  const results = [];
  for (const view of views) results.push(await inspect(view));
  process.stdout.write(JSON.stringify(results));
} finally {
  await browser.close();
}

async function inspect({ name, url, width, dark, screenshot, height, pdf }) {
  const page = await browser.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    const isIcon = request.url().startsWith("data:image/svg+xml");
    if (request.url() !== url && !isIcon) {
      problems.push(`requests ${request.url()}`);
    }
  });
  await page.setViewport({ width, height: height ?? 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
  ]);
  const response = await page.goto(url, { waitUntil: "load", timeout: TIMEOUT });
  const content = await page.evaluate(() => ({
    title: document.title,
    text: document.body.innerText,
    overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    activeElements: document.querySelectorAll("script, img, iframe, object, form").length,
  }));
  if (pdf) await page.pdf({ path: pdf, preferCSSPageSize: true, printBackground: true, timeout: TIMEOUT });
  if (screenshot) {
    const fullPage = height === undefined;
    await page.screenshot({ path: screenshot, fullPage, optimizeForSpeed: fullPage });
  }
  await page.evaluate(axe);
  const found = await page.evaluate(
    (runOnly) => window.axe.run(document, { runOnly, resultTypes: ["violations"] }),
    dark ? COLOR_RULES : ALL_RULES,
  );
  const violations = found.violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(" ")}`,
  );
  await page.close();
  // A file has no HTTP status.
  const status = url.startsWith("file:") ? 200 : response.status();
  return { name, status, problems, violations, ...content };
}
