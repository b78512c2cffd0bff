// Starts Chromium for the scripts beside this file: its headless shell, which draws and connects like the whole
// browser and takes a third of the time, unless a script needs what only the whole browser has.

import puppeteer from "puppeteer-core";

// In milliseconds; it protects from hanging, and the caller of a script has a shorter one for all of it.
export const TIMEOUT = 600_000;

export const WHOLE = { executablePath: "/usr/bin/chromium", headless: true };
const SHELL = { executablePath: "/usr/bin/chromium-headless-shell", headless: "shell" };

export const launch = (args = [], options = {}) =>
  puppeteer.launch({
    ...SHELL,
    // The sandbox needs an unprivileged user, and the tests run as root; they open only the
    // exporter's own pages.
    args: ["--no-sandbox", "--disable-gpu", ...args],
    // Chromium ends when this process does, however that happens.
    pipe: true,
    timeout: TIMEOUT,
    protocolTimeout: TIMEOUT,
    ...options,
  });
