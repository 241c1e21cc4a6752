// Sets a line up in a real browser, by the keyboard alone: node wizard.mjs PACKAGES CLAIM_LINK PICTURES
// Every page is looked at by axe-core, in light and dark, at 400 and 1,280 px (browser.mjs, which tells too what is wrong).
import { readFileSync } from "node:fs";
import { asks, ends, launch, watch, wrong } from "./browser.mjs";

const [packages, claim, pictures] = process.argv.slice(2);
const root = new URL(claim).origin;
const { browser, looks: looksAt } = await launch(packages, pictures);
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
const page = await context.newPage();
// Of a form that is refused, and of one whose session has ended, the browser tells the status by itself.
watch(page, [root], [401, 422]);

/** What has the focus is called, as far as a person who does not see it is told. */
const focused = () =>
  page.evaluate(() => {
    const it = document.activeElement;
    if (!it || it === document.body) return "";
    const label = it.labels?.[0]?.textContent ?? it.getAttribute("aria-label") ?? it.textContent;
    return label.replace(/\s+/g, " ").trim();
  });

/** Goes on by Tab until something that is called so has the focus, which has to be seen. */
async function to(name) {
  const passed = [];
  for (let n = 0; n < 120; n++) {
    await page.keyboard.press("Tab");
    const called = await focused();
    if (called === name || called.startsWith(`${name} `) || (name instanceof RegExp && name.test(called))) {
      const outline = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return style.outlineStyle !== "none" || style.boxShadow !== "none";
      });
      if (!outline) wrong.push(`${page.url()}: the focus on ${name} is not seen`);
      return;
    }
    passed.push(called);
  }
  throw new Error(`${page.url()}: no Tab leads to ${name}; it led to ${passed.join(" | ")}`);
}

/** A link of the summary is called as the field that it leads to. */
async function types(name, text) {
  do await to(name);
  while (await page.evaluate(() => document.activeElement.matches("a")));
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(text);
}

/** Presses what has the focus, and waits for the page that comes of it. */
async function presses(name, key = "Enter") {
  await to(name);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press(key)]);
  await looks();
}

/** Of radio buttons one is in the order of Tab, and arrows go on from there. */
async function picks(name) {
  await to(name);
  await page.keyboard.press("Space");
}

async function looks(state = "") {
  const path = new URL(page.url()).pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "x").replaceAll("/", "_").slice(1) || "first";
  const told = await page.locator("#told").count();
  await looksAt(page, `${path}${state}${told ? "_told" : ""}`);
}

async function expects(text) {
  const all = await page.locator("main").textContent();
  if (!all.replace(/\s+/g, " ").includes(text)) throw new Error(`${page.url()}: no "${text}" in ${all.replace(/\s+/g, " ")}`);
}

async function run() {
  await page.goto(claim);
  await looks();
  if (new URL(page.url()).hash) wrong.push("the secret of the link stays in the address");
  await types("Login", "root");
  await types("Password", "nobody expects this one");
  await presses("Accept");
  await twice();
  await types("Name", "guest");
  await types("Called", "Guests & Co");
  await presses("Make");
  await presses("Add a phone integration");
  await presses("Next");
  await presses("Next");
  await expects("choose an assistant");
  await to("A script");
  await page.keyboard.press("Enter");
  await presses("Create");
  await picks(/^A script/);
  await presses("Next");

  // A key that is none, with a reload and a second tab in between; then a good one.
  const { arn, id, secret, endpoint } = await asks("key", {});
  const account = page.url();
  const enters = async (secret) => {
    await types("Amazon Connect Instance ARN", arn);
    await types("Access Key ID", id);
    await types("Access Key secret", secret);
    // What is kept is shown: it is opened by a person once.
    if (!(await page.locator("[name=endpoint_url]").isVisible())) {
      await to("A VPC endpoint");
      await page.keyboard.press("Enter");
    }
    await types("Endpoint URL (may be left empty)", endpoint);
    await presses("Test connection");
  };
  await enters("not the secret");
  await expects("Invalid");
  await page.reload();
  await expects("Invalid");
  const other = await context.newPage();
  await other.goto(account);
  if (!(await other.locator("main").textContent()).includes("Invalid")) wrong.push("a second tab shows something else");
  await other.close();
  await enters(secret);
  await expects("Valid");
  if ((await page.content()).includes(`="${secret}"`)) wrong.push("the secret is shown");
  // A role takes the key's place, which trusts the external id that the page shows.
  const external_id = await page.locator("code", { hasText: "bellhop-" }).first().textContent();
  const { role } = await asks("role", { external_id });
  await to("An access key");
  await page.keyboard.press("ArrowDown");
  await types("Role ARN", role);
  await presses("Test connection");
  await expects("Valid");
  await presses("Next");

  await to("Copy Host");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.textContent === "Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  if (copied !== "sip.bellhop.example") wrong.push(`copied: ${copied}`);
  await presses("Next");

  await to("On this server");
  await page.keyboard.press("Enter");
  await presses("Create");
  await expects("listens");
  await presses("Next");
  await to("On this server, English");
  await page.keyboard.press("Enter");
  await presses("Create");
  await expects("made");
  const heard = context.waitForEvent("response", (answer) => answer.url().endsWith("/listen"));
  const opened = context.waitForEvent("page");
  await to("Listen");
  await page.keyboard.press("Enter");
  const [sound, tab] = await Promise.all([heard, opened]);
  if (sound.headers()["content-type"] !== "audio/wav") wrong.push(`Listen yields ${sound.status()} ${sound.headers()["content-type"]}`);
  if (Number(sound.headers()["content-length"]) < 10_000) wrong.push("Listen yields next to no audio");
  await tab.close();
  // Of the voices those of the assistant's language are offered, or all.
  const offered = () => page.locator("select[name=offer] option").count();
  const filtered = await offered();
  await picks(/^Filter voices/);
  await presses("Apply");
  if ((await offered()) < filtered) wrong.push("without the filter there are fewer voices");
  await presses("Back");
  await presses("Next");
  await presses("Save");
  await expects("Create an Amazon Chime Voice Connector");
  await picks(/^The Voice Connector is created/);
  const told = await page.locator("input[name=access_url]").inputValue();
  if (!told.endsWith(".my.connect.aws")) wrong.push(`the instance told its access URL, and the page says "${told}"`);
  await types("Access URL of your instance", "https://acme.my.connect.aws/ccp-v2/");
  await types("Voice Connector ARN", "arn:aws:chime:us-east-1:111122223333:vc/abc");
  await types("Queue ARN", `${arn}/queue/main`);
  await presses("Keep");
  await to("Download the flow");
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  const flow = JSON.parse(readFileSync(await download.path(), "utf8"));
  if (flow.Version !== "2019-10-30") wrong.push(`the flow is ${flow.Version}`);
  await expects("It is kept.");
  await page.locator("#applied", { hasText: "1 of 1 nodes" }).waitFor();
  if (!(await page.locator("input[name=voice_connector]").isChecked())) wrong.push("a tick does not stay");
  await presses("Phone number");

  await types("Number", "12");
  await presses("Add");
  await types("Number", "+1 800 555 0200");
  await types("What it is for", "Main line");
  await presses("Add");
  await expects("waiting for the first call");
  await asks("call", { number: "+18005550200" });
  await page.locator("td", { hasText: /^working$/ }).waitFor();
  // Ten kinds of lines that are bad: too few and too many digits, letters, no number, three fields, a number twice, a number of the
  // configuration's file, a text that is too long, a number that is, and an address.
  const bad = [
    "1", "1234567890123456", "+1800555O203", ",For nobody", "+18005550204,a,b", "+18005550201", "+18005550123",
    `+18005550205,${"x".repeat(257)}`, `+${"1 ".repeat(60)}`, "sip:+18005550206",
  ];
  const list = { name: "numbers.csv", mimeType: "text/csv", buffer: Buffer.from(["+18005550201,Sales", ...bad, ""].join("\n")) };
  await page.locator("input[type=file]").setInputFiles(list);
  await page.waitForFunction(() => document.getElementById("rows").value.includes("Sales"));
  await presses("Look what it changes");
  await expects("Nothing is changed while a line is bad");
  for (const n of bad.keys()) await expects(`line ${n + 2} `);
  await types("Numbers", "+18005550200,Main line\n+18005550201,Sales\n");
  await presses("Look what it changes");
  await presses("Replace all");
  await expects("+18005550201");
  await presses("To the integrations");
  await expects("working");
  await settings();
  // What is seen of that call, and of one that is watched.
  await presses("Dashboard");
  await expects("Calls that began from");
  if ((await page.locator("svg.chart").count()) !== 3) wrong.push("the dashboard has not three pictures");
  await to("The same as a table");
  await page.keyboard.press("Enter");
  await looks("_table");
  await presses("Refusals");
  await expects("No call was refused");
  await presses("Everything that can go wrong, and what to do");
  await page.goBack();
  await presses("Call me: dial, and watch what comes");
  await presses("I dial now");
  await expects("Dial now.");
  await asks("call", { number: "+18005550200" });
  await page.locator("#came", { hasText: "came, and is over" }).waitFor();
  await looks("_came");
  await presses("Tenants");
  await presses("Dashboard");
  await expects("Who was called most");
  await presses("Refusals");
  await presses("Those for numbers of nobody alone");
  await presses("Tenants");
  await presses("guest");
  await presses("Assistants");
  await versions();
  await presses("Try it: A script");
  await presses("Begin the call");
  await expects("Hello. Say agent, please");
  await types("The caller presses", "0");
  await presses("Press them");
  await expects("I connect you to an agent.");
  await presses("People");
  await types("Login", "ann@example");
  await presses("Invite");
  await expects("Give this link to whom you invited.");
  await server();
  await expires();
  await presses("Sign out");
  await looks();
}

/** Somebody else finds the link of the first start, and it was used. */
async function twice() {
  const other = await browser.newContext();
  const tab = await other.newPage();
  watch(tab, [root], [404]);
  await tab.goto(claim);
  await tab.fill("input[name=login]", "second");
  await tab.fill("input[name=password]", "nobody expects this one");
  await Promise.all([tab.waitForNavigation({ waitUntil: "load" }), tab.click("button[value=password]")]);
  if (!(await tab.textContent("main")).includes("was used")) wrong.push("a link is good twice");
  await looksAt(tab, "claim_used");
  await other.close();
}

/** The session ends while somebody types: they sign in, and send what they typed. */
async function expires() {
  await presses("Tenants");
  await types("Name", "later");
  await types("Called", "Later & Co");
  await context.clearCookies();
  await presses("Make");
  await expects("what you typed is kept");
  await types("Login", "root");
  await types("Password", "nobody expects this one");
  await presses("Sign in");
  await presses("Send what I typed");
  await expects("Later & Co");
}

/** Every tab, a mistake whose summary leads to its field, and a test event to nobody. */
async function settings() {
  await presses("Settings: Phone");
  const links = page.locator("nav[aria-label=Settings] a");
  const tabs = (await links.evaluateAll((all) => all.map((link) => link.href))).filter((link) => link.includes("/settings/"));
  if (tabs.length !== 10) wrong.push(`tabs: ${tabs}`);
  for (const tab of tabs) {
    await page.goto(tab);
    await looks();
  }
  const services = tabs[0].replace(/integrations.*/, "services");
  await page.goto(services);
  const service = await page.locator("tbody th a").first().evaluate((link) => link.href);
  for (const path of [services, service, `${services}/text-to-speech`, new URL("/password", services).href]) {
    await page.goto(path);
    await looks();
  }
  await page.goto(tabs.find((tab) => tab.endsWith("/advanced")));
  await types("Transfer failure message", "x".repeat(151));
  await presses("Keep");
  await expects("is longer than 150 characters");
  await to("Transfer failure message");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.name === "sip.transfer_failure_message");
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText("We are sorry.");
  await presses("Keep");
  await expects("It is kept.");
  await page.goto(tabs.find((tab) => tab.endsWith("/log-webhook")));
  await types("URL", "https://nobody.invalid/log");
  await types("Secret", "nobody expects this one");
  await presses("Keep");
  await expects("Events go to https://nobody.invalid/log.");
  await presses("Send a test event");
  if (!(await page.locator("#told.bad").count())) wrong.push("a test event to nobody is told as good");
  await presses("To the integrations");
}

/** A script that is broken, one that is another, and back to the first. */
async function versions() {
  await presses("A script");
  const gutter = await page.locator(".gutter").textContent();
  const lines = (await page.locator("textarea[name=script_text]").inputValue()).split("\n").length;
  if (gutter.split("\n").length !== lines) wrong.push(`${lines} lines, and the numbers ${gutter}`);
  await types("Script", "start: nowhere\nsteps:\n  a: {respond: [], otherwise: b}\n");
  await presses("Keep");
  await expects("line 1, column");
  if (!(await page.locator("#line-1.wrong").count())) wrong.push("a mistake does not stand at its line");
  await types("Script", "start: a\nsteps:\n  a: {respond: [{response_type: text, text: Good day.}], otherwise: a}\n");
  await presses("Keep");
  await expects("It is kept.");
  await presses("What it said before");
  await presses("Look at version 1");
  await expects("Version 1");
  await looks("_one");
  await presses("Go back to version 1");
  await expects("3 (now)");
  await presses("To the assistant");
  await presses("To the assistants");
}

/** What an operator sees of the server itself. */
async function server() {
  await presses("Server");
  await page.locator("td", { hasText: "takes calls" }).waitFor();
  for (const name of ["Plans", "Users", "Numbers in dispute", "Audit"]) await presses(name);
  await types("What was done", "assistant.");
  await presses("Find");
  await expects("assistant.change");
  await presses("Plans");
  await types("Name", "gold");
  await types("Calls at once", "none");
  await presses("Make");
  await expects("Nothing was changed");
}

await ends(browser, page, pictures, run);
