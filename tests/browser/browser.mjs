// A browser, what is looked at in every page that it shows, and who drives it: for the scripts beside this one.
// A script asks who started it for what a browser cannot do: a line on standard output (a word and JSON), answered by one on standard input.
// What is wrong is told in the last line.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { mkdirSync, readFileSync } from "node:fs";

export const wrong = [];
export const seen = new Set();

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export async function asks(word, about) {
  console.log(`${word} ${JSON.stringify(about)}`);
  return JSON.parse((await answers.next()).value);
}

/** The browser of these packages; what it shows is looked at by `looks`, and kept as pictures. */
export async function launch(packages, pictures, args = []) {
  const require = createRequire(`${packages}/node_modules/`);
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  mkdirSync(pictures, { recursive: true });
  const usual = ["--no-sandbox", "--disable-dev-shm-usage"];
  const browser = await require("playwright-core").chromium.launch({ executablePath: "/usr/bin/chromium", args: [...usual, ...args] });

  /** A page in light and dark and at these widths, once under each name. */
  async function looks(page, name, { widths = [1280, 400, 320], kept = [1280, 400] } = {}) {
    if (seen.has(name)) return;
    seen.add(name);
    if (!(await page.locator("h1").first().textContent())) wrong.push(`${name}: no heading`);
    for (const colorScheme of ["light", "dark"]) {
      for (const width of widths) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) wrong.push(`${name}: ${wide} px wide at ${width}`);
        if (kept.includes(width)) await page.screenshot({ path: `${pictures}/${name}_${colorScheme}_${width}.png`, fullPage: true });
      }
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, impact, nodes } of found.violations) {
        if (["serious", "critical"].includes(impact)) wrong.push(`${name} ${colorScheme}: ${id} (${impact}) ${nodes[0].html.slice(0, 200)}`);
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: widths[0], height: 900 });
  }

  return { browser, looks };
}

/** Console, scripts and policies of a page have nothing to say, and it asks nobody but these; `expected` are statuses and words that the browser tells of. */
export function watch(page, roots, expected = []) {
  page.setDefaultTimeout(20_000);
  page.on("console", (line) => {
    const told = line.text();
    const is_expected = expected.some((one) => told.includes(typeof one === "number" ? `status of ${one}` : one));
    if (["error", "warning"].includes(line.type()) && !is_expected) wrong.push(`console: ${told}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!roots.some((root) => url.startsWith(root)) && !url.startsWith("data:")) wrong.push(`asks elsewhere: ${url}`);
  });
}

/** Does it all, and tells what was wrong. */
export async function ends(browser, page, pictures, run) {
  try {
    await run();
  } catch (error) {
    wrong.push(String(error.stack ?? error));
    await page.screenshot({ path: `${pictures}/failed.png`, fullPage: true }).catch(() => {});
  }
  await browser.close();
  console.log(`done ${JSON.stringify({ wrong, pages: [...seen] })}`);
  process.exit(0);
}
