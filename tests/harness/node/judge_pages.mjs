// Opens pages in Chromium, several at a time, each in a context of its own. Where certificates or names are in
// question also in a browser of its own: a browser remembers the intermediate certificates that it has seen, and
// it has one resolver.
//
// Argument: the home directory of Chromium.
// Standard input: a JSON object a line, {id, url, title, patience, own_browser, resolver, proxy, credentials};
// the last three are optional, patience is in milliseconds, resolver is the URI template of DNS over HTTPS.
// Standard output: a JSON object a line, {id, error, status, title}: the last error of a navigation
// and the last status, or null, and the title of what is shown.

import { mkdtemp, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { launch, WHOLE } from "./browser.mjs";

// For a page that leads on by itself.
const SETTLE = 3_000;

const [home] = process.argv.slice(2);
const options = { env: { ...process.env, HOME: home, XDG_DATA_HOME: `${home}/.local/share` } };
const settings = (names) => [`--host-resolver-rules=MAP ${names} 127.0.0.1`, "--disable-component-update"];

const shared = await launch(settings("*.lab.test"), options);
// The headless shell reads no settings, and names no error of a proxy's authentication.
const whole = await launch(settings("*.lab.test"), { ...options, ...WHOLE });

const launchWith = async (resolver) => {
  const userDataDir = await mkdtemp(`${home}/profile-`);
  const state = { dns_over_https: { mode: "secure", templates: resolver } };
  await writeFile(`${userDataDir}/Local State`, JSON.stringify(state));
  return launch(settings(new URL(resolver).hostname), { ...options, ...WHOLE, userDataDir });
};

const browserFor = ({ own_browser, resolver, proxy }) => {
  if (resolver) {
    return launchWith(resolver);
  }
  if (proxy) {
    return whole;
  }
  return own_browser ? launch(settings("*.lab.test"), options) : shared;
};

const judge = async (request) => {
  const { id, url, title, patience, proxy, credentials } = request;
  const browser = await browserFor(request);
  const context = await browser.createBrowserContext(proxy ? { proxyServer: proxy } : {});
  try {
    const page = await context.newPage();
    const seen = { id, error: null, status: null, title: "" };
    let isDone = false;
    const isNavigation = (request) =>
      !isDone && request.isNavigationRequest() && request.frame() === page.mainFrame();
    page.on("response", (response) => {
      if (isNavigation(response.request())) {
        seen.status = response.status();
        seen.error = null;
      }
    });
    page.on("requestfailed", (request) => {
      if (isNavigation(request)) {
        seen.error = request.failure().errorText;
      }
    });
    if (credentials) {
      await page.authenticate(credentials);
    }
    try {
      await page.goto(url, { waitUntil: "load", timeout: patience });
      await page.waitForFunction(
        (title) => document.title.replaceAll(/\s+/g, " ") === title,
        { timeout: SETTLE },
        title,
      );
    } catch (error) {
      if (error.name === "TimeoutError" && seen.status === null) {
        seen.error = "timeout";
        isDone = true;
        // What does not end would keep the title from being read.
        const session = await page.createCDPSession();
        await session.send("Page.stopLoading");
      }
      const [code] = error.message.match(/net::ERR_\w+/) ?? [];
      seen.error ??= code ?? null;
    }
    seen.title = (await page.title()).replaceAll(/\s+/g, " ");
    return seen;
  } finally {
    await ([shared, whole].includes(browser) ? context : browser).close();
  }
};

const running = [];
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  running.push(
    judge(request)
      .catch((error) => ({ id: request.id, error: `${error}`, status: null, title: "" }))
      .then((seen) => process.stdout.write(`${JSON.stringify(seen)}\n`)),
  );
}
await Promise.all(running);
await Promise.all([shared.close(), whole.close()]);
