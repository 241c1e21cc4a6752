// Watches a real call in a real browser and ends it there: node calls.mjs PACKAGES TOLD PICTURES
// TOLD is JSON: where the pages are, and who signs in.
import { asks, ends, launch, watch, wrong } from "./browser.mjs";

const [packages, told, pictures] = process.argv.slice(2);
const { root, login, password } = JSON.parse(told);
const { browser, looks } = await launch(packages, pictures);
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
watch(page, [root]);

const is = (what, so) => so || wrong.push(`${page.url()}: ${what}`);

/** What is shown of a call grows while nobody loads the page again, and the focus stays where it was. */
async function grows(watched) {
  await watched.evaluate(() => (globalThis.marked = true));
  await watched.locator("#said li", { hasText: "Pardon?" }).first().waitFor();
  await watched.locator("#axis").focus();
  const count = () => watched.evaluate(() => [document.querySelectorAll("#said li").length, document.querySelectorAll("#axis rect").length]);
  await watched.waitForFunction(
    ([lines, spans]) => document.querySelectorAll("#said li").length > lines && document.querySelectorAll("#axis rect").length > spans,
    await count(),
  );
  is("the page was loaded again", await watched.evaluate(() => globalThis.marked));
  is("the focus is lost by a swap", (await watched.evaluate(() => document.activeElement.id)) === "axis");
}

/** It is heard from any place on. */
async function listens() {
  const at = await page.evaluate(async () => {
    const audio = document.getElementById("recording");
    const happens = (what) => new Promise((resolve, reject) => {
      audio.addEventListener(what, resolve, { once: true });
      audio.addEventListener("error", () => reject(new Error(`no recording: ${audio.error?.message}`)), { once: true });
    });
    const known = happens("loadedmetadata");
    audio.preload = "auto";
    audio.load();
    await known;
    const sought = happens("seeked");
    audio.currentTime = audio.duration / 2;
    await sought;
    return [audio.currentTime, audio.duration];
  });
  is(`the recording is at ${at}`, at[1] > 1 && at[0] > 0);
}

async function finds(fields, found) {
  await page.getByRole("link", { name: "All calls" }).click();
  for (const [label, text] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByRole("button", { name: "Find" }).click();
  if (found) await page.locator("#listed-table").getByText("somebody hung up here").first().waitFor();
  else await page.getByText("No call is found.").waitFor();
  for (const [label, text] of Object.entries(fields)) {
    is(`${label} is kept`, (await page.getByLabel(label, { exact: true }).inputValue()) === text);
  }
}

async function run() {
  await page.goto(`${root}/sign-in`);
  await page.getByLabel("Login").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("link", { name: "acme", exact: true }).click();
  await page.getByRole("link", { name: "Calls", exact: true }).click();
  await page.getByText("No call is found.").waitFor();
  await looks(page, "calls_none");

  // The list shows a call that comes by itself, and its page tells what happens in it.
  const { caller } = await asks("call", {});
  await page.locator("tr.up").waitFor();
  await looks(page, "calls_up");
  await page.locator("tr.up a").click();
  await page.getByRole("heading", { name: `Call from ${caller}` }).waitFor();
  const other = await context.newPage();
  watch(other, [root]);
  await other.goto(page.url());
  await grows(other);
  await grows(page);
  await looks(page, "call_up");

  // It is hung up here, and the other window turns by itself.
  await other.locator("#hang-up summary").focus();
  await page.locator("#hang-up summary").click();
  await page.getByRole("button", { name: "Hang up now" }).click();
  for (const one of [other, page]) await one.locator("#state", { hasText: "somebody hung up here" }).waitFor();
  is("the other window was loaded again", await other.evaluate(() => globalThis.marked));
  for (const one of [other, page]) is("what is over can be hung up", (await one.locator("#hang-up, #call[data-events]").count()) === 0);
  is("the focus fell into nothing", (await other.evaluate(() => document.activeElement.id)) === "called");
  await asks("ended", {});
  await other.close();
  await page.locator("#quality").waitFor();
  await page.locator("#recording").waitFor();
  await listens();
  await looks(page, "call_over");
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#record").click()]);
  is("the record is no JSON", (await download.suggestedFilename()) === "call.json");

  await page.getByRole("link", { name: "To the calls" }).click();
  await finds({ "Number, of the caller or dialled": caller, "Words of why it ended": "HUNG up" }, true);
  await looks(page, "calls_found");
  await finds({ "Number, of the caller or dialled": "+1 206 555 9999" }, false);
  await finds({ "It lasted longer than, in seconds": "3600" }, false);

  // Without a script a call is looked at and hung up all the same.
  await asks("call", {});
  const plain = await browser.newContext({ javaScriptEnabled: false, storageState: await context.storageState() });
  const bare = await plain.newPage();
  bare.setDefaultTimeout(20_000);
  const here = page.url().split("?")[0];
  const until = async (path, what) => {
    for (let n = 0; n < 200 && !(await bare.locator(what).count()); n++) await bare.goto(path);
    await bare.locator(what).first().waitFor();
  };
  await until(here, "tr.up a");
  await bare.locator("tr.up a").click();
  await bare.getByText("look again").waitFor();
  const call = bare.url();
  await bare.locator("#hang-up summary").click();
  await bare.getByRole("button", { name: "Hang up now" }).click();
  await until(call, "#state:has-text('somebody hung up here')");
  await asks("ended", {});
}

await ends(browser, page, pictures, run);
