"use strict";
// Refreshes the parts of a page marked data-live, every data-refresh seconds, while the page is visible. A button of the
// page pauses that, for every page of this browser.
(() => {
  const OFF = "jobs.live.off", toggle = document.getElementById("live-toggle");
  const timed = () => document.querySelector("[data-refresh]");
  const paused = () => Boolean(toggle && localStorage.getItem(OFF));
  if (!timed()) return;
  const mark = (node) => node && node !== document.body && (node.id ? `#${CSS.escape(node.id)}` : node.getAttribute("href") && `[href="${CSS.escape(node.getAttribute("href"))}"]`);
  // Rows that the operator has chosen stay as they are: an action applies to what was seen.
  const chosen = (part) => part.querySelector("[name=_selected_action]:checked, tr.here");

  function swap(part, fresh) {
    if (chosen(part)) return;
    const at = part.contains(document.activeElement) ? mark(document.activeElement) : null;
    if (part.innerHTML !== fresh.innerHTML) part.innerHTML = fresh.innerHTML;
    for (const name of part.getAttributeNames()) if (!fresh.hasAttribute(name) && name !== "data-live") part.removeAttribute(name);
    if (at && !part.contains(document.activeElement)) part.querySelector(at)?.focus();
  }

  async function refresh() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) swap(part, fresh);
    }
    document.dispatchEvent(new Event("refreshed"));
  }

  let due = 0;
  async function tick() {
    clearTimeout(due);
    if (document.hidden || paused() || !timed()) return;
    if (!document.querySelector("dialog[open]")) await refresh().catch(() => {}); // the site does not answer: try next time
    wait();
  }
  function wait() {
    clearTimeout(due);
    if (timed() && !paused() && !document.hidden) due = setTimeout(tick, 1000 * timed().dataset.refresh);
  }
  function show() {
    if (!toggle) return;
    toggle.hidden = false;
    toggle.textContent = paused() ? toggle.dataset.off : toggle.dataset.on;
    toggle.setAttribute("aria-pressed", String(paused()));
  }
  toggle?.addEventListener("click", () => {
    if (paused()) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1");
    show();
    if (!paused()) tick();
  });
  document.addEventListener("visibilitychange", tick);
  show();
  wait();
})();
