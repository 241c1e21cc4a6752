// loadAgentApp(sessionHistoryKey, element): shows a conversation inside a page of one's own.
//   <script src="https://bellhop.example/loadAgentApp.js"></script>
// The origin of that page has to be among `frame_ancestors` of the integration that the call was for.
(() => {
  const page = new URL("loadAgentAppFrame.html", document.currentScript.src);
  window.loadAgentApp = (sessionHistoryKey, element) => {
    const frame = document.createElement("iframe");
    const address = new URL(page);
    address.searchParams.set("session_history_key", sessionHistoryKey);
    frame.src = address.href;
    frame.title = "Conversation";
    frame.referrerPolicy = "no-referrer";
    frame.allow = "clipboard-write";
    frame.style.cssText = "border: 0; width: 100%; height: 100%";
    element.replaceChildren(frame);
    return frame;
  };
})();
