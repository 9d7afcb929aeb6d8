"use strict";

const KEPT_PER_BOX = 30;
const SECONDS_BETWEEN_RELOADS = 3;
const byId = (id) => document.getElementById(id);
const filter = byId("filter");
let last = document.body.dataset.last;
let asking = false;
let askAgain = false;

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function fitFrame(frame) {
  const page = frame.contentDocument;
  if (page && page.documentElement && frame.offsetParent !== null) {
    frame.style.height = `${Math.min(Math.max(page.documentElement.scrollHeight, 120), 900)}px`;
  }
}

function matches(entry) {
  const wanted = filter.value.trim().toLowerCase();
  const { to, key } = entry.dataset;
  return wanted === "" || `${to} ${key} ${entry.textContent}`.toLowerCase().includes(wanted);
}

function applyFilter() {
  for (const box of document.querySelectorAll(".box")) {
    let shown = 0;
    for (const entry of box.querySelectorAll(".entry")) {
      entry.hidden = !matches(entry);
      shown += entry.hidden ? 0 : 1;
    }
    box.hidden = shown === 0;
  }
}

function place(item) {
  if (document.querySelector(`[data-id="${CSS.escape(item.id)}"]`)) return;
  let box = document.querySelector(`[data-box="${CSS.escape(item.box)}"]`);
  if (!box) {
    box = fragment(item.box_html);
    byId(item.kind === "mailbox" ? "mailboxes" : "phones").querySelector(".empty").after(box);
  }
  const entry = fragment(item.item_html);
  entry.classList.add("new");
  const entries = box.querySelector(".entries");
  entries.prepend(entry);
  while (entries.childElementCount > KEPT_PER_BOX) entries.lastElementChild.remove();
  if (item.key && item.times > 1) markDuplicates(item);
}

function markDuplicates(item) {
  for (const entry of document.querySelectorAll(`[data-key="${CSS.escape(item.key)}"]`)) {
    if (entry.dataset.to !== item.to) continue;
    const badge = entry.querySelector(".badge");
    badge.textContent = `accepted ×${item.times}`;
    badge.hidden = false;
  }
}

function showBoard(html) {
  const focused = document.activeElement?.dataset?.provider;
  byId("board").innerHTML = html;
  if (focused) byId("board").querySelector(`[data-provider="${CSS.escape(focused)}"]`)?.focus();
}

async function ask() {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(`/page/news?after=${encodeURIComponent(last)}`);
    const news = await answer.json();
    if (news.reload) {
      // Under a flood of messages every look would say so.
      setTimeout(() => location.reload(), Math.max(0, SECONDS_BETWEEN_RELOADS * 1000 - performance.now()));
      return;
    }
    news.items.forEach(place);
    last = news.items.at(-1)?.id ?? last;
    byId("totals").innerHTML = news.totals;
    showBoard(news.board);
    applyFilter();
  } catch {
    setLive("away");
  } finally {
    asking = false;
  }
  if (askAgain) {
    askAgain = false;
    setTimeout(ask, 200);
  }
}

function setLive(state) {
  byId("live").textContent = { live: "live", away: "not connected" }[state];
  byId("live").dataset.state = state;
}

function listen() {
  const stream = new EventSource("/api/inbox/stream?brief=1");
  stream.addEventListener("open", () => {
    setLive("live");
    ask();
  });
  stream.addEventListener("message", ask);
  stream.addEventListener("board", ask);
  stream.addEventListener("reset", ask);
  stream.addEventListener("error", () => setLive("away"));
}

async function call(method, path, body) {
  const answer = await fetch(path, { method, body });
  const said = answer.ok || answer.status === 204 ? "" : (await answer.json()).detail;
  byId("said").textContent = said;
  return answer.ok;
}

function faultPath(provider, recipient) {
  return `/api/faults/${provider}${recipient ? `/${encodeURIComponent(recipient)}` : ""}`;
}

byId("board").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { provider, recipient } = button.dataset;
  if (button.classList.contains("remove")) {
    call("DELETE", faultPath(provider, recipient));
  } else {
    const enabled = button.getAttribute("aria-checked") !== "true";
    call("PUT", `/api/providers/${provider}`, JSON.stringify({ enabled }));
  }
});

byId("fault").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const path = faultPath(form.get("provider"), form.get("recipient").trim());
  if (await call("PUT", path, form.get("document"))) byId("said").textContent = "Set.";
});

byId("fault").elements.preset.addEventListener("change", (event) => {
  byId("fault").elements.document.value = event.target.value;
});

byId("calm").addEventListener("click", () => {
  call("DELETE", "/api/faults");
  for (const button of byId("board").querySelectorAll('[aria-checked="false"]')) {
    call("PUT", `/api/providers/${button.dataset.provider}`, JSON.stringify({ enabled: true }));
  }
});
byId("clear").addEventListener("click", () => call("DELETE", "/api/inbox"));
filter.addEventListener("input", applyFilter);
document.addEventListener("load", (event) => event.target.tagName === "IFRAME" && fitFrame(event.target), true);
for (const kind of ["toggle", "change"]) {
  document.addEventListener(kind, (event) => event.target.closest(".mail")?.querySelectorAll("iframe").forEach(fitFrame), true);
}
listen();
