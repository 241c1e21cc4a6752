// Shows the Contact Control Panel, and opens the conversation that an assistant of Bellhop had with a caller as the call comes to
// the agent: the contact's screenPopURL, "=" and its sessionHistoryKey without the first character (the vendor's sample does so).
// Invariant: of a contact the conversation is opened once by itself, also when this page is loaded again; a link to it stays as long
// as the contact is here. Whatever a contact lacks costs no other contact anything.
"use strict";

(() => {
  /** What was opened already, so that a reload does not open it again: the newest ids of contacts, in this tab alone. */
  const OPENED = "bellhop.opened";
  const OPENED_MAX = 50;
  const list = document.getElementById("contacts");
  const told = document.getElementById("told");
  const items = new Map();

  const instance = document.querySelector('meta[name="instance"]').content.replace(/\/+$/, "");

  /** What is to be shown of a contact's attributes: a link, or why there is none. */
  function conversation(attributes) {
    if (attributes === null || attributes === undefined) {
      return { why: "You monitor this contact: its conversation is shown to its agent." };
    }
    const text = (name) => (typeof attributes[name]?.value === "string" ? attributes[name].value : "");
    const page = text("screenPopURL");
    const key = text("sessionHistoryKey");
    if (key.length < 2 || page === "") {
      return { why: "This contact brought no conversation with an assistant." };
    }
    let url;
    try {
      url = new URL(`${page}=${encodeURIComponent(key.slice(1))}`);
    } catch {
      return { why: "The flow's screenPopURL is no address: look at its block Set contact attributes." };
    }
    const isLocal = url.protocol === "http:" && ["localhost", "127.0.0.1"].includes(url.hostname);
    if (url.protocol !== "https:" && !isLocal) {
      return { why: "The flow's screenPopURL is no address of https: look at its block Set contact attributes." };
    }
    return { url: url.href };
  }

  function opened() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(OPENED) ?? "[]");
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  }

  /** Opens a window that knows nothing of this one; false if the browser does not let it. */
  function open(url) {
    const opened = window.open("", "_blank");
    if (opened === null) return false;
    opened.opener = null;
    opened.location.replace(url);
    return true;
  }

  /** What a contact is told apart by: the caller's number where the panel tells it, and when it came. */
  function called(contact, since) {
    let number = "";
    try {
      number = contact.getInitialConnection()?.getEndpoint()?.phoneNumber ?? "";
    } catch {
      // Not every contact has a caller.
    }
    const time = since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    return number === "" ? `Contact of ${time}` : `${number}, ${time}`;
  }

  function itemOf(id) {
    if (!items.has(id)) {
      const item = { element: document.createElement("li"), since: new Date(), shown: "", blocked: false };
      list.append(item.element);
      items.set(id, item);
    }
    return items.get(id);
  }

  function show(contact) {
    const id = contact.getContactId();
    const item = itemOf(id);
    const { url, why } = conversation(contact.getAttributes());
    const state = contact.getStatus()?.type;
    if (url !== undefined && ["incoming", "connecting", "connected"].includes(state)) {
      const before = opened();
      if (!before.includes(id)) {
        sessionStorage.setItem(OPENED, JSON.stringify([...before, id].slice(-OPENED_MAX)));
        item.blocked = !open(url);
      }
    }
    const shown = JSON.stringify([url, why, item.blocked]);
    if (item.shown === shown) return; // What has the focus keeps it.
    item.shown = shown;
    const name = document.createElement("p");
    name.textContent = called(contact, item.since);
    const about = document.createElement("p");
    if (url === undefined) {
      about.textContent = why;
    } else {
      const link = document.createElement("a");
      link.href = url;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.textContent = `Open the conversation of ${name.textContent}`;
      about.append(link);
      if (item.blocked) about.append(" The browser did not let it open by itself: allow pop-ups for this page.");
    }
    item.element.replaceChildren(name, about);
    count();
  }

  function gone(id) {
    items.get(id)?.element.remove();
    items.delete(id);
    count();
  }

  function count() {
    told.textContent = items.size === 0 ? "No contact." : "";
    told.hidden = items.size !== 0;
  }

  /** A contact that cannot be read now, as it is gone, is read at its next change. */
  function looks(contact) {
    try {
      show(contact);
    } catch (error) {
      console.info("a contact could not be read", error?.message);
    }
  }

  if (instance.includes("YOUR-INSTANCE") || !/^https:\/\/[^/]+/.test(instance)) {
    told.textContent = "Whoever put this page here has not said whose it is: the access URL of the Amazon Connect instance belongs into index.html.";
    return;
  }
  // Of an instance of the older kind the pages are below /connect.
  const path = instance.endsWith(".awsapps.com") ? "/connect/ccp-v2/" : "/ccp-v2/";
  connect.core.initCCP(document.getElementById("panel"), {
    ccpUrl: instance + path,
    loginPopup: true,
    loginPopupAutoClose: true,
    softphone: { allowFramedSoftphone: true },
    pageOptions: { enableAudioDeviceSettings: true },
  });
  connect.core.onInitialized(count);
  connect.contact((contact) => {
    const id = contact.getContactId();
    for (const event of ["onIncoming", "onPending", "onConnecting", "onAccepted", "onConnected", "onRefresh"]) {
      contact[event]?.(looks);
    }
    contact.onDestroy(() => gone(id));
    looks(contact);
  });
})();
