// createNotifier: one notice, one job id, no exception, and the key goes to no other server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createNotifier } from "@yellowbooks/notifier";
import { accepted, problem, serve } from "./support.mjs";

const SIGN_IN = { userId: "42", email: "bat@example.mn", name: "Бат", provider: "github", ipAddress: "203.0.113.7", userAgent: "Firefox" };
const KEY = "nk_secret";

function notifier(url, more = {}) {
  const failures = [];
  const options = { url, key: KEY, backoffMs: 1, budgetMs: 2_000, onError: (failure) => failures.push(failure), ...more };
  return { failures, notify: createNotifier(options).notify };
}

test("a sign-in is posted with the key, in the form of the API", async (context) => {
  const server = await serve(context, (_, body) => accepted(body, { newDevice: true, signals: ["new_country"] }));
  const { notify, failures } = notifier(server.url, { locale: "mn" });
  const result = await notify({ ...SIGN_IN, jobId: "one", deviceId: "device-1", timezone: "Asia/Hovd" });
  assert.deepEqual(result, { outcome: "accepted", jobId: "one", status: "enqueued", newDevice: true, signals: ["new_country"] });
  const [{ method, path, headers, body }] = server.requests;
  assert.deepEqual([method, path, headers.authorization], ["POST", "/api/jobs/signin-notification", `Bearer ${KEY}`]);
  const { timestamp, ...fields } = JSON.parse(body);
  assert.deepEqual(fields, { ...SIGN_IN, jobId: "one", deviceId: "device-1", locale: "mn", timezone: "Asia/Hovd" });
  assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000);
  assert.deepEqual(failures, []);
});

test("the verdict is undefined when the server gives none", async (context) => {
  const server = await serve(context, (_, body) => accepted(body));
  const result = await notifier(server.url).notify(SIGN_IN);
  assert.equal("newDevice" in result, false);
  assert.deepEqual(result.signals, []);
  assert.match(result.jobId, /^signin-[0-9a-f-]{36}$/);
});

for (const [name, first] of [
  ["a broken connection", () => null],
  ["a 503", () => problem(503, "database-away", {}, { "retry-after": "0" })],
  ["a 429 for too many requests", () => problem(429, "too-many-requests")],
  ["a proxy's 502", () => [502, "<html>Bad gateway</html>"]],
  ["a 503 with a date in Retry-After", () => [503, "", { "retry-after": new Date(0).toUTCString() }]],
]) {
  test(`after ${name} the same job id is sent again`, async (context) => {
    const server = await serve(context, (_, body, number) => (number === 1 ? first() : accepted(body)));
    assert.equal((await notifier(server.url).notify(SIGN_IN)).outcome, "accepted");
    const ids = server.requests.map(({ body }) => JSON.parse(body).jobId);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
  });
}

test("a repeat that had arrived is a duplicate", async (context) => {
  const server = await serve(context, () => problem(409, "duplicate-job", { status: "completed" }));
  assert.deepEqual(await notifier(server.url).notify({ ...SIGN_IN, jobId: "x" }), { outcome: "duplicate", jobId: "x", status: "completed" });
});

for (const [name, answer, httpStatus, named] of [
  ["a job id of another user", problem(422, "job-id-of-another-user"), 422, "job-id-of-another-user"],
  ["a wrong key", problem(401, "unauthenticated"), 401, "unauthenticated"],
  ["the user's hourly limit", problem(429, "too-many-notices", {}, { "retry-after": "60" }), 429, "too-many-notices"],
  ["another conflict", problem(409, "not-waiting"), 409, "not-waiting"],
  ["a page of another server", [200, "<html>Hello</html>"], 200, "unexpected-response"],
  ["a 202 of another server", [202, "[]"], 202, "unexpected-response"],
  ["a 404 in HTML", [404, "<html>"], 404, "unexpected-response"],
]) {
  test(`${name} is refused, reported, and not tried again`, async (context) => {
    const server = await serve(context, () => answer);
    const { notify, failures } = notifier(server.url);
    const result = await notify(SIGN_IN);
    assert.deepEqual([result.outcome, result.httpStatus, result.problem], ["refused", httpStatus, named]);
    assert.deepEqual(failures, [result]);
    assert.equal(server.requests.length, 1);
  });
}

test("the fields that Notifier refuses are named", async (context) => {
  const errors = [{ field: "email", message: "must be one email address" }];
  const server = await serve(context, () => problem(400, "invalid-fields", { errors }));
  assert.deepEqual((await notifier(server.url).notify(SIGN_IN)).errors, errors);
});

for (const status of [301, 302, 307, 308]) {
  test(`a redirect with ${status} is refused, and the key goes nowhere else`, async (context) => {
    const other = await serve(context, (_, body) => accepted(body));
    const server = await serve(context, () => [status, "", { location: `${other.url}/api/jobs/signin-notification` }]);
    const result = await notifier(server.url).notify(SIGN_IN);
    assert.deepEqual([result.outcome, result.problem], ["refused", "redirected"]);
    assert.equal(other.requests.length, 0);
  });
}

test("nothing is asked of fetch that Cloudflare Workers do not have", async () => {
  let given;
  const fetcher = async (_, init) => ((given = init), new Response('{"jobId":"a","status":"enqueued"}', { status: 202 }));
  await notifier("https://notifier.example.mn", { fetch: fetcher }).notify(SIGN_IN);
  assert.deepEqual(Object.keys(given).sort(), ["body", "headers", "method", "redirect", "signal"]);
  assert.equal(given.redirect, "manual");
});

test("a server that does not answer costs no more than the budget", async (context) => {
  const server = await serve(context, () => new Promise(() => {}));
  const { notify, failures } = notifier(server.url, { timeoutMs: 30, budgetMs: 150 });
  const result = await notify({ ...SIGN_IN, jobId: "silent" });
  assert.equal(result.outcome, "unreachable");
  assert.equal(result.reason, "TimeoutError");
  assert.ok(result.attempts >= 2);
  assert.deepEqual(failures, [result]);
});

test("a Retry-After that is longer than the budget is not waited for", async (context) => {
  const server = await serve(context, () => problem(503, "database-away", {}, { "retry-after": "3600" }));
  const result = await notifier(server.url).notify({ ...SIGN_IN, jobId: "later" });
  assert.deepEqual(result, { outcome: "unreachable", jobId: "later", attempts: 1, reason: "503 database-away" });
});

test("nothing that the site passes makes it throw", async () => {
  const broken = {
    get userId() {
      throw new Error("gone");
    },
    email: "bat@example.mn",
  };
  for (const signIn of [undefined, null, {}, { userId: "1" }, { ...SIGN_IN, timestamp: new Date(NaN) }, broken]) {
    assert.equal((await notifier("https://notifier.example.mn").notify(signIn)).outcome, "refused");
  }
  const { notify } = notifier("not a url", {
    onError: () => {
      throw new Error("gone");
    },
  });
  assert.equal((await notify(SIGN_IN)).problem, "invalid-configuration");
});

test("a configuration that is missing is reported when it is used, not when the module is loaded", async () => {
  for (const options of [{ url: undefined }, { key: undefined }, { key: "" }, { key: "a\nb" }, { url: "ftp://example.mn" }]) {
    const { notify, failures } = notifier("https://notifier.example.mn", options);
    assert.equal((await notify(SIGN_IN)).problem, "invalid-configuration");
    assert.equal(JSON.stringify(failures).includes("bat@"), false);
  }
});

test("a hostile browser cannot have the notice refused", async (context) => {
  const server = await serve(context, (_, body) => accepted(body));
  const hostile = { name: "\udfff\u0000" + "😀".repeat(500), userAgent: "\ud800\u0000\r\n" + "x".repeat(50_000), ipAddress: "<b>", provider: "<b>é" };
  await notifier(server.url).notify({ ...SIGN_IN, ...hostile });
  const sent = JSON.parse(server.requests[0].body);
  assert.equal(Array.from(sent.name).every((character) => character === "😀"), true);
  assert.ok(Array.from(sent.name).length <= 200 && sent.userAgent.length <= 1000);
  assert.deepEqual([sent.ipAddress, sent.provider], ["0.0.0.0", "b--"]);
});
