// Follows a link by itself when the page is first shown: <a href="mailto:..." data-open-once>. Not again when it is
// loaded anew or come back to. Without this script the link is there to be pressed.
"use strict";

const link = document.querySelector("[data-open-once]");
if (link && !history.state?.opened) {
  history.replaceState({ opened: true }, "");
  addEventListener("load", () => location.assign(link.href)); // earlier, it would end the loading of this page
}
