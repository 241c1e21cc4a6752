// The page of a conversation in a real browser: node agent.mjs PACKAGES ABOUT PICTURES
// ABOUT is JSON: `root` (where Bellhop is), `embedder` (the port of the page that may embed it), `key` (of a call that was made), `agents` (of
// one for agents who sign in), `login`, `password`.
import { createServer } from "node:http";
import { asks, ends, launch, watch, wrong } from "./browser.mjs";

const [packages, told, pictures] = process.argv.slice(2);
const { root, embedder, key, agents, login, password } = JSON.parse(told);
// No cookie of a third party arrives but what is partitioned.
const { browser, looks } = await launch(packages, pictures, ["--test-third-party-cookie-phaseout"]);
const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
const page = await context.newPage();
watch(page, [root], [404]);

const WIDTHS = { widths: [1200, 400], kept: [1200, 400] };
const address = (key, more = "") => `${root}/loadAgentAppFrame.html?session_history_key=${key}${more}`;
const expects = (is_so, what) => is_so || wrong.push(what);

/** A page of somebody's own that shows a conversation, on a site of its own. */
const listening = async (port, body) => {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<!doctype html><html lang="en"><title>Desk</title><h1>Desk</h1><div id="conversation" style="height: 800px"></div>${body}`);
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return `http://127.0.0.1:${server.address().port}`;
};

async function reads() {
  await page.goto(address(key));
  await looks(page, "agent", WIDTHS);
  for (const shown of ["Wants a loan.", "loan", "+12065550100", "+18005550123", "Typed by the caller"]) {
    expects((await page.locator("main").innerText()).includes(shown), `the page does not show ${shown}`);
  }
  const title = await page.title();
  expects(!title.includes(key) && !title.includes("2065550100"), `the title tells ${title}`);
  await page.getByLabel("Search in the conversation").fill("WAIT.");
  expects((await page.locator("mark").count()) === 1 && (await page.locator("#found").innerText()) === "1/1 found", "what is there is not found");
  await looks(page, "agent_searched", WIDTHS);
  await page.getByLabel("Search in the conversation").fill("e");
  const count = await page.locator("mark").count();
  await page.keyboard.press("Enter");
  expects((await page.locator("#found").innerText()) === `2/${count} found`, "Enter does not go on");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.press("Shift+Enter");
  expects((await page.locator("#found").innerText()) === `${count}/${count} found`, "Shift and Enter do not go back");
  await page.getByLabel("Search in the conversation").fill("(nobody) said [this]");
  expects((await page.locator("#found").innerText()) === "Not found", "what is not there is found");
  await page.getByLabel("Search in the conversation").fill("");
  expects((await page.locator("mark").count()) === 0, "marks stay");

  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expects(copied.includes("Caller: +12065550100") && copied.includes("Assistant: Hello."), `copied: ${copied}`);

  await page.emulateMedia({ media: "print" });
  for (const tool of ["#search", "#copy", "#print", "summary"]) expects(await page.locator(tool).isHidden(), `${tool} is printed`);
  expects(await page.getByText("Wait.").first().isVisible(), "the conversation is not printed");
  await page.screenshot({ path: `${pictures}/agent_printed.png`, fullPage: true });
  await page.emulateMedia({ media: null });
  // By the keyboard: search, copy and print follow one another, and each is seen.
  await page.getByLabel("Search in the conversation").focus();
  for (const id of ["copy", "print"]) {
    await page.keyboard.press("Tab");
    const here = await page.evaluate(() => [document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]);
    expects(here[0] === id && here[1] !== "none", `Tab leads to ${here}, not to ${id}`);
  }
}

async function waits() {
  const later = "d".repeat(40);
  await page.goto(address(later));
  expects((await page.locator("h1").innerText()).includes("not here yet"), "it does not say that it asks again");
  await asks("put", { key: later });
  await page.getByText("I want a loan for a boat.").first().waitFor();
  // In the end it says that there is none, and asks no more.
  await page.goto(address("e".repeat(40), "&asked=5"));
  await looks(page, "agent_none", WIDTHS);
  // Without scripts too.
  const plain = await browser.newContext({ javaScriptEnabled: false });
  const quiet = await plain.newPage();
  const other = "c".repeat(40);
  await quiet.goto(address(other));
  await asks("put", { key: other });
  await quiet.getByText("I want a loan for a boat.").first().waitFor();
  expects(await quiet.locator("summary").isVisible(), "without scripts there is no text to copy");
  await plain.close();
}

async function embeds() {
  const script = `<script src="${root}/loadAgentApp.js"></script><script>
    const asked = new URLSearchParams(location.search);
    const element = document.getElementById("conversation");
    if (asked.has("bare")) element.innerHTML = \`<iframe title="Conversation" height="700" width="700" src="\${asked.get("bare")}"></iframe>\`;
    else loadAgentApp(asked.get("key"), element);
  </script>`;
  const desk = await listening(embedder, script);
  const stranger = await listening(0, script);
  const around = await context.newPage();
  // Of the frame that may not.
  watch(around, [root, desk], [404, "The Clipboard API has been blocked"]);
  await around.goto(`${desk}/?key=${key}`);
  await around.frameLocator("iframe").getByText("Wait.").first().waitFor();
  // A frame that may not write to the clipboard has the text selected to be copied by hand.
  await around.goto(`${desk}/?bare=${encodeURIComponent(address(key))}`);
  const frame = around.frameLocator("iframe");
  await frame.getByRole("button", { name: "Copy" }).click();
  await frame.locator("details[open] textarea").waitFor();
  await around.waitForFunction(() => document.activeElement?.tagName === "IFRAME");
  const selected = await frame.locator("textarea").evaluate((text) => text.selectionEnd - text.selectionStart === text.value.length);
  expects(selected, "the text is not selected");
  // One that is not here yet shows itself in the frame, and turns.
  const later = "b".repeat(40);
  await around.goto(`${desk}/?key=${later}`);
  await around.frameLocator("iframe").getByText("not here yet").waitFor();
  await asks("put", { key: later });
  await around.frameLocator("iframe").getByText("I want a loan for a boat.").first().waitFor();
  await around.close();
  // Nobody else shows it.
  const elsewhere = await context.newPage();
  const refused = new Promise((done) => elsewhere.on("console", (line) => line.text().includes("frame-ancestors") && done()));
  await elsewhere.goto(`${stranger}/?key=${key}`);
  await refused;
  expects(!elsewhere.frames().some((frame) => frame.url().startsWith(root)), "a stranger shows it");
  await elsewhere.close();
  return desk;
}

async function signs_in(desk) {
  const top = await browser.newContext({ viewport: { width: 1200, height: 900 } });
  const alone = await top.newPage();
  watch(alone, [root]);
  await alone.goto(address(agents));
  await looks(alone, "agent_sign_in", WIDTHS);
  await alone.getByLabel("Login").fill(login);
  await alone.getByLabel("Password").fill("not this");
  await alone.keyboard.press("Enter");
  await alone.getByRole("alert").waitFor();
  await looks(alone, "agent_sign_in_wrong", WIDTHS);
  await top.close();

  const around = await context.newPage();
  watch(around, [root, desk]);
  await around.goto(`${desk}/?key=${agents}`);
  const frame = around.frameLocator("iframe");
  await frame.getByLabel("Login").fill(login);
  await frame.getByLabel("Password").fill(password);
  await frame.getByRole("button", { name: "Sign in" }).click();
  await frame.getByText("I want a loan for a boat.").first().waitFor();
  const cookie = (await context.cookies()).find(({ name }) => name.endsWith("bellhop-agent"));
  expects(cookie?.sameSite === "None" && cookie.secure && cookie.httpOnly && cookie.partitionKey, `the cookie is ${JSON.stringify(cookie)}`);
  await around.reload();
  await frame.getByText("I want a loan for a boat.").first().waitFor();
  await frame.getByRole("button", { name: "Sign out" }).click();
  await frame.getByLabel("Password").waitFor();
  await around.close();
}

await ends(browser, page, pictures, async () => {
  await reads();
  await waits();
  await signs_in(await embeds());
});
