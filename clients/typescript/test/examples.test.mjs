// The examples, each as a running site: a sign-in is reported, and an event of a dispute ends the user's sessions.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { accepted, disputed, eventually, listen, post, SECRET, serve, signed } from "./support.mjs";

process.env.NOTIFIER_EVENTS_SECRET = SECRET;
process.env.NOTIFIER_API_KEY = "nk_secret";
process.env.SESSION_SECRET = "a secret of the example";
process.env.BETTER_AUTH_SECRET = "a secret of the example, long enough";

const posted = [];
let stop;

after(() => stop());
before(async () => {
  const notifier = await serve({ after: (end) => (stop = end) }, (_, body) => (posted.push(JSON.parse(body)), accepted(body)));
  process.env.NOTIFIER_URL = notifier.url;
});

/** A browser that keeps cookies, in front of a handler of fetch requests. */
function browser(handle) {
  const cookies = new Map();
  return async (url, init = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { "user-agent": "Firefox", "x-forwarded-for": "203.0.113.7", cookie, ...init.headers };
    const response = await handle(new Request(url, { ...init, headers, redirect: "manual" }));
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    return response;
  };
}

/** An OpenID Connect provider at which one user always agrees. */
async function identityProvider(context) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  let issuer = "";
  const token = () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: "shop", sub: "77", email: "bat@example.mn", name: "Бат", iat: now, exp: now + 60 };
    const unsigned = `${encode({ alg: "RS256", kid: "1" })}.${encode(claims)}`;
    return `${unsigned}.${sign("sha256", Buffer.from(unsigned), privateKey).toString("base64url")}`;
  };
  const answers = {
    "/.well-known/openid-configuration": () => ({
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`, userinfo_endpoint: `${issuer}/me`,
      response_types_supported: ["code"], subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["RS256"],
    }),
    "/token": () => ({ access_token: "a", token_type: "bearer", id_token: token() }),
    "/keys": () => ({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }] }),
  };
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answers[request.url]?.() ?? {}));
  });
  return (issuer = await listen(context, server));
}

test("Auth.js with database sessions: one user id, and a dispute ends both sessions", async (context) => {
  const { Auth } = await import("@auth/core");
  const { createNotifier } = await import("@yellowbooks/notifier");
  const { notifySignIn } = await import("@yellowbooks/notifier/authjs");
  process.env.SSO_ISSUER = await identityProvider(context);
  Object.assign(process.env, { SSO_CLIENT_ID: "shop", SSO_CLIENT_SECRET: "secret" });
  const { adapter } = await import("../build/examples/authjs/adapter.js");
  const { providers } = await import("../build/examples/authjs/providers.js");
  const { POST } = await import("../build/examples/authjs/events.js");
  const notifier = createNotifier({ url: process.env.NOTIFIER_URL, key: "nk_secret" });
  const signIn = notifySignIn(notifier, { adapter: true });
  const secrets = { basePath: "/auth", secret: "s".repeat(32), trustHost: true };
  const config = { adapter, providers, session: { strategy: "database" }, events: { signIn }, ...secrets };
  const handle = (request) => Auth(request, config);
  const site = "http://shop.example.mn/auth";

  async function signedIn() {
    const visit = browser(handle);
    const { csrfToken } = await (await visit(`${site}/csrf`)).json();
    const form = { method: "POST", body: new URLSearchParams({ csrfToken }) };
    const asked = new URL((await visit(`${site}/signin/sso`, form)).headers.get("location"));
    const back = new URLSearchParams({ code: "c", ...(asked.searchParams.has("state") && { state: asked.searchParams.get("state") }) });
    await visit(`${site}/callback/sso?${back}`);
    return async () => (await (await visit(`${site}/session`)).json())?.user?.email;
  }

  const before = posted.length;
  const browsers = [await signedIn(), await signedIn()];
  for (const user of browsers) assert.equal(await user(), "bat@example.mn");
  await eventually(() => posted.length === before + 2);
  const [first, second] = posted.slice(before);
  assert.equal(first.userId, second.userId);
  assert.notEqual(first.jobId, second.jobId);
  assert.equal((await POST(post(...signed(disputed("another user"))))).status, 204);
  assert.equal(await browsers[0](), "bat@example.mn");
  assert.equal((await POST(post(...signed(disputed(first.userId))))).status, 204);
  for (const user of browsers) assert.equal(await user(), undefined);
});

test("better-auth: each sign-in is reported once with the browser's device id, and a dispute ends the sessions", async () => {
  const { auth } = await import("../build/examples/better-auth/auth.js");
  const { POST } = await import("../build/examples/better-auth/events.js");
  const visit = browser((request) => auth.handler(request));
  const site = "http://localhost:3000/api/auth";
  const json = { "content-type": "application/json", origin: "http://localhost:3000" };
  const send = (path, body) => visit(`${site}${path}`, { method: "POST", headers: json, body: JSON.stringify(body) });
  const user = async () => (await (await visit(`${site}/get-session`)).json())?.user;
  const person = { email: "suvd@example.mn", password: "correct horse" };

  const before = posted.length;
  assert.equal((await send("/sign-up/email", { ...person, name: "Сувд" })).status, 200);
  assert.equal((await send("/sign-in/email", { ...person, password: "wrong horse" })).status, 401);
  assert.equal((await send("/sign-in/email", person)).status, 200);
  const { id } = await user();
  await eventually(() => posted.length === before + 2);
  const [first, second] = posted.slice(before);
  assert.deepEqual([first.userId, second.userId], [id, id]);
  assert.deepEqual([first.provider, first.email, first.userAgent], ["password", "suvd@example.mn", "Firefox"]);
  assert.match(first.jobId, /^session:/);
  assert.notEqual(first.jobId, second.jobId);
  assert.match(first.deviceId, /^[\w-]{32}$/);
  assert.equal(first.deviceId, second.deviceId);
  assert.equal((await POST(post(...signed(disputed(id))))).status, 204);
  assert.equal(await user(), undefined);
});

test("express-session: a sign-in is reported, and a dispute ends the user's sessions", async (context) => {
  const { app } = await import("../build/examples/express-session/app.js");
  const url = await listen(context, createServer(app));
  const visit = browser(fetch);
  const json = { "content-type": "application/json" };
  const signIn = (password) => visit(`${url}/sign-in`, { method: "POST", headers: json, body: JSON.stringify({ email: "bat@example.mn", password }) });
  const status = async () => (await visit(`${url}/me`)).status;

  const before = posted.length;
  assert.equal((await signIn("wrong")).status, 401);
  assert.equal((await signIn("correct")).status, 204);
  assert.equal(await status(), 200);
  await eventually(() => posted.length === before + 1);
  const { userId, ipAddress, userAgent, deviceId } = posted[before];
  assert.deepEqual([userId, ipAddress, userAgent, deviceId.length], ["42", "203.0.113.7", "Firefox", 32]);
  const send = async (event) => {
    const [body, headers] = signed(event);
    return (await fetch(`${url}/notifier/events`, { method: "POST", body, headers })).status;
  };
  assert.equal(await send(disputed("7")), 204);
  assert.equal(await status(), 200);
  assert.equal(await send(disputed("42")), 204);
  assert.equal(await status(), 401);
});
