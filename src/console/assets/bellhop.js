// What pages do with a script, and do without one too: a copy button selects its field, and the secret of a link is taken out of the address.
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
  const told = document.getElementById("told");
  if (told) told.focus();
});
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
