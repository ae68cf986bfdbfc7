// Copy buttons: <button data-copy="id of an input or of a text" hidden>. Without this script there is no button, and
// the text can be selected where it stands.
"use strict";

const said = document.currentScript.dataset; // in the language of the page

async function copy(source) {
  const isInput = "value" in source;
  try {
    await navigator.clipboard.writeText(isInput ? source.value : source.textContent);
  } catch {
    // No clipboard on a page without HTTPS: the old way still works there.
    if (isInput) {
      source.select();
    } else {
      getSelection().selectAllChildren(source);
    }
    return document.execCommand("copy");
  }
  return true;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(document.getElementById(button.dataset.copy));
    button.textContent = done ? said.done : said.failed;
    setTimeout(() => { button.textContent = words; }, 2000);
  });
}
