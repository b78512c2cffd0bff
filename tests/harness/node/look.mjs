// Looks at pages as a person with a browser does. On standard input: {chromium, views: [{name, url,
// width, dark, picture, height, pdf}]}. On standard output, for each view: what went wrong in it, whether
// it scrolls sideways, what axe-core finds, and the text that is seen.

import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const { chromium, views } = JSON.parse(readFileSync(0, "utf8"));

const browser = await puppeteer.launch({
  executablePath: chromium,
  // The sandbox wants a user; the tests run as root, and look at nothing but the exporter.
  args: ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"],
});
try {
  const seen = [];
  for (const view of views) seen.push(await look(view));
  process.stdout.write(JSON.stringify(seen));
} finally {
  await browser.close();
}

async function look({ name, url, width, dark, picture, height, pdf }) {
  const page = await browser.newPage();
  const errors = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().endsWith("/favicon.ico")) {
      errors.push(`asks for ${request.url()}`);
    }
  });
  await page.setViewport({ width, height: height ?? 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
  ]);
  const response = await page.goto(url, { waitUntil: "load", timeout: 30_000 });
  const facts = await page.evaluate(() => ({
    title: document.title,
    text: document.body.innerText,
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    active: document.querySelectorAll("script, img, iframe, object, form").length,
  }));
  // As it comes out of a printer.
  if (pdf) await page.pdf({ path: pdf, preferCSSPageSize: true, printBackground: true });
  if (picture) await page.screenshot({ path: picture, fullPage: height === undefined });
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  const violations = found.violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(" ")}`,
  );
  await page.close();
  // A file has no status.
  const status = url.startsWith("file:") ? 200 : response.status();
  return { name, status, errors, violations, ...facts };
}
