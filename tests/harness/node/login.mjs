// Logs in as a person with a browser does. On standard input: {chromium, url, username, password}.
// On standard output: {wrong, right}: the status of the page with a wrong and the right password, and
// its title.

import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const { chromium, url, username, password } = JSON.parse(readFileSync(0, "utf8"));

const browser = await puppeteer.launch({
  executablePath: chromium,
  acceptInsecureCerts: true,
  // The sandbox wants a user; the tests run as root, and look at nothing but the exporter.
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const open = async (credentials) => {
    const page = await browser.newPage();
    await page.authenticate(credentials);
    const response = await page.goto(url, { waitUntil: "load", timeout: 30_000 });
    return { status: response.status(), title: await page.title() };
  };
  const wrong = await open({ username, password: `not ${password}` });
  const right = await open({ username, password });
  process.stdout.write(JSON.stringify({ wrong, right }));
} finally {
  await browser.close();
}
