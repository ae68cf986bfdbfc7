// Copy buttons: <button data-copy="id of an input" hidden>. Without this script there is no button, and the
// text can be selected in its box.
"use strict";

async function copy(input) {
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    // No clipboard on a page without HTTPS: the old way still works there.
    input.select();
    return document.execCommand("copy");
  }
  return true;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(document.getElementById(button.dataset.copy));
    button.textContent = done ? "Copied" : "Press Ctrl-C";
    setTimeout(() => { button.textContent = words; }, 2000);
  });
}
