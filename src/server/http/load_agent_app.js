// loadAgentApp(sessionHistoryKey, element): shows a conversation inside a page of one's own.
//   <script src="https://bellhop.example/loadAgentApp.js"></script>
// The origin of that page has to be among the tenant's `frame_ancestors`.
(() => {
  const page = new URL("loadAgentAppFrame.html", document.currentScript.src);
  window.loadAgentApp = (sessionHistoryKey, element) => {
    const frame = document.createElement("iframe");
    const address = new URL(page);
    address.searchParams.set("session_history_key", sessionHistoryKey);
    frame.src = address.href;
    frame.title = "Conversation";
    frame.referrerPolicy = "no-referrer";
    frame.style.cssText = "border: 0; width: 100%; height: 100%";
    element.replaceChildren(frame);
    return frame;
  };
})();
