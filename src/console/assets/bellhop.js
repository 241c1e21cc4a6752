// What pages do with a script, and do without one too: a copy button selects its field, and the secret of a link is taken out of the address.
// A call as it happens is shown with a script alone.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("[data-from-fragment]");
  if (field && location.hash.length > 1) {
    field.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
  }
  for (const file of document.querySelectorAll("[data-fills]")) {
    file.closest("label").hidden = false;
    file.addEventListener("change", async () => {
      if (file.files[0]) document.getElementById(file.dataset.fills).value = await file.files[0].text();
    });
  }
  for (const area of document.querySelectorAll("textarea[data-numbered]")) numbers(area);
  const told = document.getElementById("told");
  if (told) told.focus();
});
// The numbers of the lines beside a script, which go along as it is scrolled and typed.
function numbers(area) {
  const beside = document.createElement("pre");
  beside.className = "gutter";
  beside.setAttribute("aria-hidden", "true");
  const both = document.createElement("div");
  both.className = "numbered";
  area.replaceWith(both);
  both.append(beside, area);
  area.wrap = "off";
  const count = () => {
    const lines = area.value.split("\n").length;
    beside.textContent = Array.from({ length: lines }, (_, at) => at + 1).join("\n");
    beside.scrollTop = area.scrollTop;
  };
  area.addEventListener("input", count);
  area.addEventListener("scroll", () => { beside.scrollTop = area.scrollTop; });
  count();
}
// What looks like a button is pressed like one.
document.addEventListener("keydown", (event) => {
  const link = event.target.closest("a[role=button]");
  if (link && event.key === " ") {
    event.preventDefault();
    link.click();
  }
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(source.value);
    button.textContent = "Copied";
  } catch {
    source.focus();
    source.select();
    button.textContent = "Selected";
  }
});

// A call as it happens: a stream says when something has happened, and then the page is asked again. Nothing that comes by the stream is shown.
const watched = { source: null, asking: 0, later: 0 };
function tellsOfWatching(text) {
  const place = document.getElementById("watching");
  if (place && place.textContent !== text) place.textContent = text;
}
function asksAgain() {
  // Once for all that happens meanwhile.
  watched.asking ||= setTimeout(() => {
    watched.asking = 0;
    const call = document.getElementById("call");
    if (call) htmx.trigger(call, "happened");
  }, 500);
}
function closes() {
  watched.source?.close();
  watched.source = null;
}
function opensLater(why) {
  closes();
  tellsOfWatching(`${why} This page tries again in 10 seconds.`);
  clearTimeout(watched.later);
  watched.later = setTimeout(() => {
    asksAgain();
    opens();
  }, 10_000);
}
function opens() {
  const call = document.querySelector("#call[data-events]");
  // Who does not look takes no place of somebody who does.
  if (!call || document.hidden || watched.source) return;
  const source = new EventSource(call.dataset.events);
  watched.source = source;
  source.addEventListener("open", () => tellsOfWatching(""));
  source.addEventListener("message", asksAgain);
  source.addEventListener("missed", asksAgain);
  source.addEventListener("end", (event) => {
    const { why } = JSON.parse(event.data);
    closes();
    if (why === "signed_out") location.reload();
    else if (why === "draining") opensLater("The server is being stopped, and does not tell any more what happens.");
    else asksAgain();
  });
  source.addEventListener("error", () => {
    // Of one that broke off the browser comes again by itself; one that was refused is over.
    if (source.readyState === EventSource.CLOSED && watched.source === source) opensLater("What happens is not told: too many may be watching.");
  });
}
document.addEventListener("DOMContentLoaded", opens);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) closes();
  else if (document.querySelector("#call[data-events]")) {
    asksAgain();
    opens();
  }
});
document.addEventListener("htmx:afterSwap", () => {
  const call = document.getElementById("call");
  if (!call || call.dataset.events) return;
  closes();
  tellsOfWatching("");
  const form = document.getElementById("hang-up");
  const focused = form?.contains(document.activeElement);
  form?.remove();
  if (focused) document.getElementById("called").focus();
});
document.addEventListener("htmx:afterRequest", (event) => {
  const call = event.detail.elt;
  if (call.id !== "call" || event.detail.xhr.status !== 404) return;
  // Nothing is kept of it: what is shown stays, and nobody asks any more.
  const rest = call.cloneNode(true);
  for (const name of [...rest.attributes].map((attribute) => attribute.name)) if (name !== "id") rest.removeAttribute(name);
  closes();
  call.replaceWith(rest);
});
