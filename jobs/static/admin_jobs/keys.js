"use strict";
// Keyboard shortcuts and confirmation dialogs of the operators' pages. The pages work without them, only slower.
(() => {
  const byId = (id) => document.getElementById(id);
  const rows = () => [...document.querySelectorAll(".joblist tbody tr")];
  const help = byId("keys"), sure = byId("sure"), toggle = byId("keys-on"), OFF = "jobs.keys.off";
  if (!help || !sure) return;

  let here = -1;
  function go(step) {
    const all = rows();
    if (!all.length) return;
    here = Math.min(all.length - 1, Math.max(0, here + step));
    all.forEach((row, at) => row.classList.toggle("here", at === here));
    const link = all[here].querySelector("th a");
    link.focus();
    link.scrollIntoView({ block: "nearest" });
  }

  let answer = null;
  function ask(question) {
    if (answer) answer(false);
    byId("sure-question").textContent = question;
    sure.returnValue = "";
    sure.showModal();
    return new Promise((resolve) => { answer = resolve; });
  }
  sure.addEventListener("close", () => {
    if (sure.open || !answer) return; // the event is late: the next question may be open already
    answer(sure.returnValue === "yes");
    answer = null;
  });

  const agreed = new WeakSet();
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-sure]");
    if (!button || agreed.delete(button)) return;
    event.preventDefault();
    if (await ask(button.dataset.sure)) { agreed.add(button); button.click(); }
  });

  const boxes = () => [...document.querySelectorAll("[name=_selected_action]")];
  function count() { // the page may have been refreshed since
    const selected = boxes().filter((box) => box.checked).length, all = byId("select-all"), shown = byId("selected-count");
    if (shown) shown.textContent = selected;
    if (all) { all.checked = selected > 0 && selected === boxes().length; all.indeterminate = selected > 0 && !all.checked; }
  }
  document.addEventListener("change", (event) => {
    if (event.target.id === "select-all") boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target === toggle) localStorage.setItem(OFF, toggle.checked ? "" : "1");
    count();
  });
  count();

  function replay() {
    const row = rows()[here], box = row && row.querySelector("[name=_selected_action]");
    if (box && !boxes().some((one) => one.checked)) { box.checked = true; count(); }
    const group = row && row.querySelector("[data-key=r]");
    if (group) { group.click(); return; }
    const button = document.querySelector("#replay button, #list button[value=replay]");
    if (button) button.click();
  }

  let going = 0; // when "g" was pressed: the next key within two seconds names a page
  function goTo(key) {
    const link = Date.now() - going < 2000 && document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    going = 0;
    if (link) link.click();
    return link;
  }

  const KEYS = {
    g: () => { going = Date.now(); },
    "/": () => { const field = byId("find") || byId("filter-q"); if (field) { field.closest("details")?.setAttribute("open", ""); field.focus(); field.select(); } },
    j: () => go(1),
    k: () => go(-1),
    x: () => { const box = rows()[here]?.querySelector("[name=_selected_action]"); if (box) { box.checked = !box.checked; count(); } },
    r: replay,
    "?": () => { toggle.checked = !localStorage.getItem(OFF); help.showModal(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (!localStorage.getItem(OFF) && going && goTo(event.key)) { event.preventDefault(); return; }
    const act = KEYS[event.key];
    if (!act || (localStorage.getItem(OFF) && event.key !== "?")) return;
    event.preventDefault();
    act();
  });
})();
