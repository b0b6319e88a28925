// Comfort only: every page works without it.
"use strict";

// Parts of a page that live are fetched again, but not while somebody looks elsewhere, types in one or marks a text in it.
const lives = document.querySelector("[data-live]");
const isBusy = (part) => {
  const selection = getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open], dialog[open]") !== null
    || (!selection.isCollapsed && part.contains(selection.anchorNode));
};
let isStopped = false;
const refresh = async () => {
  if (document.hidden || isStopped) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // A session that has ended leads to the login.
  if (answer.redirected) return location.reload();
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && !isBusy(part) && next.innerHTML !== part.innerHTML) part.replaceChildren(...next.childNodes);
  }
};
if (lives) {
  const seconds = Math.max(1, Number(lives.dataset.live) || 5);
  const next = () => setTimeout(() => refresh().catch(() => {}).finally(next), seconds * 1000);
  next();
}

// A live page can be held still.
for (const button of document.querySelectorAll("[data-still]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    isStopped = !isStopped;
    button.setAttribute("aria-pressed", String(!isStopped));
    button.textContent = isStopped ? "Live: off" : "Live: on";
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const name = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = name; }, 1500);
});
if (navigator.clipboard) for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// `g` and a letter go to a page, `/` to the filter.
let isGoing = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (isGoing) {
    isGoing = false;
    document.querySelector(`nav [data-key="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1500);
  } else if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (!filter) return;
    event.preventDefault();
    const details = filter.closest("details");
    if (details) details.open = true;
    filter.querySelector("input, select")?.focus();
  }
});
