// Opens a page in Chromium with a wrong and with the right password.
//
// Standard input: {url, username, password}.
// Standard output: {wrong, right}, each {status, title} of the page.

import { readFileSync } from "node:fs";
import { launch, TIMEOUT } from "./browser.mjs";

const { url, username, password } = JSON.parse(readFileSync(0, "utf8"));

const browser = await launch([], { acceptInsecureCerts: true });
try {
  const open = async (credentials) => {
    const page = await browser.newPage();
    await page.authenticate(credentials);
    const response = await page.goto(url, { waitUntil: "load", timeout: TIMEOUT });
    return { status: response.status(), title: await page.title() };
  };
  const wrong = await open({ username, password: `not ${password}` });
  const right = await open({ username, password });
  process.stdout.write(JSON.stringify({ wrong, right }));
} finally {
  await browser.close();
}
