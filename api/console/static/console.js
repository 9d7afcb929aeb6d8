// What HTMX does not say by itself: whether the numbers are live, and that a button did not get through.
"use strict";

const live = document.getElementById("live");

function show(state, text) {
  live.dataset.live = state;
  live.textContent = text;
}

document.body.addEventListener("htmx:sseOpen", () => show("yes", "live"));
document.body.addEventListener("htmx:sseError", () => show("no", "not live: connecting again"));
document.body.addEventListener("htmx:sseClose", () => show("over", "final; reload for what is reported later"));

for (const event of ["htmx:sendError", "htmx:timeout"]) {
  document.body.addEventListener(event, () => {
    const said = document.createElement("div");
    said.className = "trouble";
    said.textContent = "Tidings does not answer, so nobody knows whether this was done. Press it again: asking twice changes nothing.";
    document.getElementById("answer").replaceChildren(said);
  });
}
