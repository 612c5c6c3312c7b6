"use strict";
// Refreshes the parts of a page marked data-live, every data-refresh seconds, while the page is visible.
(() => {
  const timed = () => document.querySelector("[data-refresh]");
  if (!timed()) return;
  const mark = (node) => node && node !== document.body && (node.id ? `#${CSS.escape(node.id)}` : node.getAttribute("href") && `[href="${CSS.escape(node.getAttribute("href"))}"]`);

  function swap(part, fresh) {
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
    if (document.hidden || !timed()) return;
    if (!document.querySelector("dialog[open]")) await refresh().catch(() => {}); // the site does not answer: try next time
    wait();
  }
  function wait() {
    clearTimeout(due);
    if (timed() && !document.hidden) due = setTimeout(tick, 1000 * timed().dataset.refresh);
  }
  document.addEventListener("visibilitychange", tick);
  wait();
})();
