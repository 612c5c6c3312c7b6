// Servers and signed events for the tests.

import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node.js 18, for Auth.js and better-auth; the package itself does not need it

export const SECRET = `whsec_${randomBytes(32).toString("base64")}`;

/** Start a server; `answer(request, body)` returns [status, body, headers] or null, which hangs up. */
export async function serve(context, answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    requests.push({ method: request.method, path: request.url, headers: request.headers, body });
    const [status, text, headers] = (await answer(request, body, requests.length)) ?? [];
    if (!status) return request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
  });
  const url = await listen(context, server);
  return { url, requests };
}

/** Listen on a free port until the test ends. Returns the URL. */
export async function listen(context, server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

export const accepted = (body, more = {}) => [202, JSON.stringify({ jobId: JSON.parse(body).jobId, status: "enqueued", ...more })];
export const problem = (status, name, more = {}, headers = {}) => [
  status,
  JSON.stringify({ type: `urn:notifier:problem:${name}`, ...more }),
  headers,
];

export function disputed(userId = "42") {
  const signIn = { timestamp: "2026-03-01T01:30:00Z", provider: "github", browser: "Chrome", system: "Windows", newDevice: true, signals: [] };
  const data = { jobId: "signin-1", userId, disputedAt: "2026-03-01T02:00:00Z", signIn };
  return { type: "sign_in.disputed", timestamp: "2026-03-01T02:00:00Z", data };
}

/** Return [body, headers] of an event as Notifier sends it. */
export function signed(event, { secret = SECRET, id = "evt_0123456789abcdef0123456789abcdef", at = Date.now() } = {}) {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const timestamp = String(Math.floor(at / 1000));
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
  return [body, { ...headers, "content-type": "application/json" }];
}

export function post(body, headers, url = "https://shop.example.mn/api/notifier") {
  return new Request(url, { method: "POST", body, headers });
}

/** Wait until `found()` is true. */
export async function eventually(found) {
  for (let tries = 0; tries < 500; tries++) {
    const value = await found();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not happen");
}
