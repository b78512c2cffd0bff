// Opens a page that refreshes itself, scrolls down, and waits until it was loaded again.
//
// Standard input: {url}. Standard output: {scrolled, before, after, isNew}: how far the page
// was scrolled, in pixels; where the first heading in view was on the screen, and where it is after the
// refresh; and whether it is another document. What is above may have become longer or shorter.

import { readFileSync } from "node:fs";
import { launch, TIMEOUT } from "./browser.mjs";

const { url } = JSON.parse(readFileSync(0, "utf8"));
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 800, height: 400 });
  await page.goto(url, { waitUntil: "load", timeout: TIMEOUT });
  const { heading, scrolled, before } = await page.evaluate(() => {
    // Gone after the refresh.
    document.documentElement.dataset.before = "yes";
    window.scrollTo(0, 0.4 * document.documentElement.scrollHeight);
    const headings = [...document.querySelectorAll("h2, h3")];
    const inView = headings.find((one) => one.getBoundingClientRect().top >= 0);
    const before = inView.getBoundingClientRect().top;
    return { heading: inView.textContent, scrolled: window.scrollY, before };
  });
  await page.waitForNavigation({ waitUntil: "load", timeout: TIMEOUT });
  // The position is restored with the first frame after the load.
  const { after, isNew } = await page.evaluate(
    (heading) =>
      new Promise((resolve) => {
        const measure = () => {
          const headings = [...document.querySelectorAll("h2, h3")];
          const same = headings.find((one) => one.textContent === heading);
          const isNew = document.documentElement.dataset.before === undefined;
          resolve({ after: same.getBoundingClientRect().top, isNew });
        };
        requestAnimationFrame(() => requestAnimationFrame(measure));
      }),
    heading,
  );
  process.stdout.write(JSON.stringify({ scrolled, before, after, isNew }));
} finally {
  await browser.close();
}
