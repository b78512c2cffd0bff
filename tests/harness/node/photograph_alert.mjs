// Takes a picture of a firing alert, with its labels and annotations, as the pages of Prometheus 2 show it.
//
// Standard input: {url, alert, file}.

import { readFileSync } from "node:fs";
import { launch, TIMEOUT } from "./browser.mjs";

const { url, alert, file } = JSON.parse(readFileSync(0, "utf8"));
const browser = await launch(["--hide-scrollbars", "--force-color-profile=srgb"]);
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1000, height: 900 });
  await page.goto(`${url}/classic/alerts`, { waitUntil: "load", timeout: TIMEOUT });
  await page.click("div.show-annotations");
  const header = `xpath///tr[contains(@class, "alert_header")][contains(., "${alert} (1 active)")]`;
  const row = await page.waitForSelector(header, { timeout: TIMEOUT });
  await row.click();
  const details = await row.evaluateHandle((one) => one.nextElementSibling.querySelector("table"));
  await page.waitForFunction((table) => table.offsetHeight > 0, { timeout: TIMEOUT }, details);
  // A row under the mouse would be gray.
  await page.mouse.move(0, 0);
  await details.screenshot({ path: file });
} finally {
  await browser.close();
}
process.stdout.write("{}");
