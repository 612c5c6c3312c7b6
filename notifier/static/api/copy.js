// Buttons that copy the text of an element; shown only where the browser lets a page copy.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      button.classList.add("done");
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = label; button.classList.remove("done"); }, 3000);
    });
  }
}
