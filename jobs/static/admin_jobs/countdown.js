"use strict";
// Shows beside each [data-until] how much of its time is left, every second.
(() => {
  const two = (number) => String(number).padStart(2, "0");
  function show() {
    for (const end of document.querySelectorAll("[data-until]")) {
      const left = Math.max(0, Math.round((new Date(end.dataset.until) - Date.now()) / 1000));
      end.nextElementSibling.textContent = `${Math.floor(left / 3600)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    }
  }
  show();
  setInterval(show, 1000);
})();
