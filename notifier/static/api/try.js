// The calls of the reference, sent from the page. Without this script the page is the same, with curl alone.
const csrf = document.getElementById("try-script").dataset.csrf;
const keyForm = document.getElementById("key-of-tries");
const key = document.getElementById("api-key");
keyForm.hidden = false;
keyForm.addEventListener("submit", (event) => event.preventDefault());

for (const form of document.querySelectorAll("form.try")) {
  const output = form.querySelector("pre");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "…";
    try {
      output.textContent = await send(form);
    } catch (error) {
      output.textContent = String(error);
    }
  });
}

async function send(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (!input.value) continue;
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === "header") headers[input.name] = input.value;
    else query.set(input.name, input.value);
  }
  if (key.value) headers.Authorization = `Bearer ${key.value.trim()}`;
  else headers["X-CSRFToken"] = csrf;
  const area = form.querySelector("textarea");
  if (area) headers["Content-Type"] = "application/json";
  const target = String(query) ? `${path}?${query}` : path;
  const response = await fetch(target, { method: form.dataset.method, headers, body: area ? area.value : undefined });
  const text = await response.text();
  return `${response.status} ${response.statusText}\n${pretty(text)}`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
