// Opens the page of deploy/aws/ccp/ in a real browser, with the real Streams library and a stand-in of the panel's frame:
// node ccp.mjs PACKAGES. It prints what is wrong as JSON. Nothing leaves this machine: both sites are answered here.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [packages] = process.argv.slice(2);
const require = createRequire(`${packages}/node_modules/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const folder = new URL("../../deploy/aws/ccp/", import.meta.url);
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css" };
const INSTANCE = "https://acme.my.connect.aws";
const CCP = "https://ccp.example";
const AGENTS = "https://bellhop.example/loadAgentAppFrame.html?session_history_key";
const wrong = [];

/** The panel: it acknowledges, and tells of the contacts that it is given as the real one does. */
const PANEL = `<!doctype html><html lang="en"><title>Panel</title><main><h1>Panel</h1></main><script>
  const ROUTING = "arn:aws:connect:eu-west-2:111122223333:instance/0f0f0f0f/routing-profile/r1";
  const send = (event, data) => parent.postMessage({ event, data }, "*");
  const tell = (contacts) => send("agent::update", {
    configuration: { routingProfile: { routingProfileId: ROUTING, queues: [] }, agentStates: [], name: "agent", permissions: [] },
    snapshot: { state: { name: "Available", type: "routable" }, contacts, snapshotTimestamp: new Date().toISOString() },
  });
  addEventListener("message", ({ data }) => {
    if (data.event === "synchronize") send("acknowledge", { id: "stand-in" });
    if (data.event === "configure") fetch("/contacts").then((answer) => answer.json()).then(tell);
  });
  addEventListener("contacts", ({ detail }) => tell(detail));
  send("acknowledge", { id: "stand-in" });
</script></html>`;

const attribute = (name, value) => ({ [name]: { name, value } });
const handedOver = (key, page = AGENTS) => ({ ...attribute("screenPopURL", page), ...attribute("sessionHistoryKey", key) });
const contact = (contactId, attributes, type = "connecting") => ({
  contactId,
  initialContactId: null,
  type: "voice",
  state: { type, timestamp: new Date().toISOString() },
  attributes,
  connections: [
    { connectionId: `${contactId}-1`, type: "agent", initial: false, state: { type } },
    { connectionId: `${contactId}-2`, type: "inbound", initial: true, state: { type: "connected" }, endpoint: { type: "phone_number", phoneNumber: "+12065550100" } },
  ],
});

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** A page of the panel's, with all that it opens. */
async function visit({ instance = INSTANCE, colorScheme = "light", width = 1280 } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const here = { context, contacts: [], opened: [], asked: [] };
  await context.route("**/*", async (route) => {
    const url = new URL(route.request().url());
    if (url.origin === CCP) {
      const name = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
      let body = readFileSync(new URL(name, folder), "utf8");
      if (name === "index.html") body = body.replace("https://YOUR-INSTANCE.my.connect.aws", instance);
      return route.fulfill({ body, contentType: TYPES[name.split(".").pop()] });
    }
    if (url.origin === INSTANCE && url.pathname === "/contacts") return route.fulfill({ json: here.contacts });
    if (url.origin === INSTANCE) {
      here.asked.push(url.pathname);
      return route.fulfill({ body: PANEL, contentType: "text/html" });
    }
    if (url.origin === "https://bellhop.example") {
      here.opened.push(url.href);
      return route.fulfill({ body: "<!doctype html><html lang=en><title>Conversation</title></html>", contentType: "text/html" });
    }
    wrong.push(`asks elsewhere: ${url.href}`);
    return route.abort();
  });
  here.page = await context.newPage();
  here.page.setDefaultTimeout(20_000);
  here.page.on("console", (line) => {
    if (["error", "warning"].includes(line.type()) && !line.text().includes("rehearsed")) here.said?.push(line.text());
  });
  here.said = [];
  here.page.on("pageerror", (error) => wrong.push(`script: ${error}`));
  await here.page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  return here;
}

/** The panel tells of these contacts, and the page has heard it. */
async function tells(here, contacts, listed = contacts.length) {
  here.contacts = contacts;
  const frame = here.page.frames().find((one) => one.url().startsWith(INSTANCE));
  await frame.evaluate((detail) => dispatchEvent(new CustomEvent("contacts", { detail })), contacts);
  await here.page.waitForFunction((count) => document.querySelectorAll("#contacts li").length === count, listed);
}

/** Loads the page, and waits until the panel has told who is there. */
async function loads(here) {
  const heard = here.page.waitForResponse(`${INSTANCE}/contacts`);
  await here.page.goto(`${CCP}/`);
  await heard;
}

/** Waits until as many windows were opened; more would be wrong. */
async function opens(here, count) {
  while (here.opened.length < count) await here.context.waitForEvent("requestfinished", { timeout: 20_000 });
}

function is(what, found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) wrong.push(`${what}: ${JSON.stringify(found)} and not ${JSON.stringify(wanted)}`);
}

async function looks(here, what) {
  await here.page.evaluate(axe);
  const found = await here.page.evaluate(() => axe.run({ iframes: false }));
  for (const one of found.violations) wrong.push(`${what}: ${one.id} (${one.impact}): ${one.nodes.map((node) => node.target).join(", ")}`);
  const wide = await here.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  if (wide) wrong.push(`${what}: it is wider than the window`);
}

const links = (here) => here.page.$$eval("#contacts a", (all) => all.map((one) => one.href));
const texts = (here) => here.page.$$eval("#contacts li", (all) => all.map((one) => one.textContent));

// A key with signs, which its first character does not belong to; what was opened is not opened again.
{
  const here = await visit();
  await loads(here);
  is("the panel", here.asked, ["/ccp-v2/"]);
  const key = "_a+b/c=?&#é %$'\"<";
  const url = `${AGENTS}=${encodeURIComponent(key.slice(1))}`;
  await tells(here, [contact("c1", handedOver(key))]);
  await opens(here, 1);
  is("what is opened", here.opened.map((one) => new URL(one).searchParams.get("session_history_key")), [key.slice(1)]);
  is("its address", here.opened.map((one) => one.split("=").slice(1).join("=")), [new URL(url).href.split("=").slice(1).join("=")]);
  const window = here.context.pages()[1];
  await window.waitForURL(`${AGENTS}*`);
  is("its window knows nothing of the panel", await window.evaluate(() => [opener, document.referrer]), [null, ""]);
  await tells(here, [contact("c1", handedOver(key), "connected")]);
  await loads(here);
  await here.page.waitForSelector("#contacts a");
  is("after a reload", [here.opened.length, (await links(here)).length], [1, 1]);
  // A second contact comes while the first is there, and each keeps its own.
  await tells(here, [contact("c1", handedOver(key), "connected"), contact("c2", handedOver("_second"))]);
  await opens(here, 2);
  is("the second", new URL(here.opened[1]).searchParams.get("session_history_key"), "second");
  is("two links", (await links(here)).map((one) => new URL(one).searchParams.get("session_history_key")), [key.slice(1), "second"]);
  await looks(here, "two contacts");
  await tells(here, [contact("c2", handedOver("_second"))]);
  is("the first is gone", (await links(here)).length, 1);
  is("nothing is said on the console", here.said, []);
  await here.context.close();
}

// What a contact lacks is told, and costs the others nothing.
{
  const here = await visit({ colorScheme: "dark", width: 400 });
  await loads(here);
  await tells(here, [
    contact("none", {}),
    contact("empty", handedOver("")),
    contact("monitored", null, "connected"),
    contact("script", handedOver("_k", "javascript:alert(1)//?k")),
    contact("word", handedOver("_k", "nothing")),
    contact("good", handedOver("_good")),
  ]);
  await opens(here, 1);
  const told = await texts(here);
  for (const [n, why] of ["brought no conversation", "brought no conversation", "You monitor", "no address of https", "is no address", "Open the conversation"].entries()) {
    if (!told[n]?.includes(why)) wrong.push(`contact ${n}: ${told[n]} and not ${why}`);
  }
  is("opened", here.opened.map((one) => new URL(one).searchParams.get("session_history_key")), ["good"]);
  await looks(here, "contacts that lack something");
  // What a contact lacked may come: a flow sets it before its queue, the panel tells when it does.
  await tells(here, [contact("none", handedOver("_late")), contact("good", handedOver("_good"))]);
  await opens(here, 2);
  is("what came late", new URL(here.opened[1]).searchParams.get("session_history_key"), "late");
  is("nothing is said on the console", here.said, []);
  await here.context.close();
}

// Where the browser lets nothing open by itself, the link is there and says so.
{
  const here = await visit();
  await here.page.addInitScript(() => (window.open = () => null));
  await loads(here);
  await tells(here, [contact("c1", handedOver("_blocked"))]);
  is("blocked", [(await texts(here))[0].includes("allow pop-ups"), (await links(here)).length], [true, 1]);
  await here.page.focus("#contacts a");
  await tells(here, [contact("c1", handedOver("_blocked"), "connected")]);
  is("the focus stays", await here.page.evaluate(() => document.activeElement.tagName), "A");
  const [opened] = await Promise.all([here.context.waitForEvent("page"), here.page.keyboard.press("Enter")]);
  await opened.waitForLoadState();
  is("by the link", here.opened.map((one) => new URL(one).searchParams.get("session_history_key")), ["blocked"]);
  await looks(here, "a blocked window");
  await here.context.close();
}

// As it is in the repository nobody has said whose it is.
{
  const here = await visit({ instance: "https://YOUR-INSTANCE.my.connect.aws" });
  await here.page.goto(`${CCP}/`);
  is("nobody's", [(await here.page.textContent("#told")).includes("belongs into index.html"), here.asked], [true, []]);
  await looks(here, "nobody's page");
  await here.context.close();
}

await browser.close();
console.log(JSON.stringify(wrong));
