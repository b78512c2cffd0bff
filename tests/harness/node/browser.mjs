// Starts Chromium for the scripts beside this file.

import puppeteer from "puppeteer-core";

// In milliseconds; it protects from hanging, and the caller of a script has a shorter one for all of it.
export const TIMEOUT = 600_000;

export const launch = (executablePath, args = [], options = {}) =>
  puppeteer.launch({
    executablePath,
    // The sandbox needs an unprivileged user, and the tests run as root; they open only the
    // exporter's own pages.
    args: ["--no-sandbox", "--disable-gpu", ...args],
    // Chromium ends when this process does, however that happens.
    pipe: true,
    timeout: TIMEOUT,
    protocolTimeout: TIMEOUT,
    ...options,
  });
