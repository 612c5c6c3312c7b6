// Stable user ids, the client's address, the device cookie, and events.signIn of Auth.js.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clientAddress, deviceId, headerCookies, nodeCookies, stableUserId } from "@yellowbooks/notifier";
import { describeSignIn, notifySignIn } from "@yellowbooks/notifier/authjs";
import * as express from "@yellowbooks/notifier/express";

test("a user has one id, whatever Auth.js puts in user.id", () => {
  const github = { provider: "github", providerAccountId: "77", type: "oauth" };
  assert.equal(stableUserId(github, { id: "random-1" }), "github:77");
  assert.equal(stableUserId(github, { id: "random-2" }), "github:77");
  assert.equal(stableUserId(github, { id: "row-42" }, { adapter: true }), "row-42");
  assert.equal(stableUserId({ provider: "ldap", providerAccountId: "random", type: "credentials" }, { id: "42" }), "42");
  assert.equal(stableUserId({ provider: "resend", providerAccountId: "a@example.mn", type: "email" }, { id: "42" }), "42");
  assert.equal(stableUserId(null, { id: 42 }), "42");
  assert.equal(stableUserId({ provider: "github" }, { email: "a@example.mn" }), "a@example.mn");
});

test("only the entry of your own proxy is believed", () => {
  const from = (forwarded, trustedProxies, remoteAddress) =>
    clientAddress(new Headers({ "x-forwarded-for": forwarded }), { trustedProxies, remoteAddress });
  assert.equal(from("1.1.1.1, 2.2.2.2", undefined), "2.2.2.2");
  assert.equal(from("1.1.1.1, 2.2.2.2", 2), "1.1.1.1");
  assert.equal(from("1.1.1.1", 0, "3.3.3.3"), "3.3.3.3");
  assert.equal(from("1.1.1.1", 2), "0.0.0.0");
  assert.equal(from("[2001:db8::1]:443", 1), "2001:db8::1");
  assert.equal(from("2.2.2.2:8080", 1), "2.2.2.2");
  assert.equal(from("unknown", 1), "0.0.0.0");
  assert.equal(from("999.1.1.1", 1), "0.0.0.0");
  assert.equal(from("", 1, "fe80::1%eth0"), "fe80::1");
  assert.equal(clientAddress(null, { remoteAddress: "::ffff:4.4.4.4" }), "::ffff:4.4.4.4");
  assert.equal(clientAddress({ "x-forwarded-for": "5.5.5.5" }), "5.5.5.5");
});

test("a browser keeps its device id", async () => {
  const first = new Headers();
  const id = await deviceId(headerCookies(new Headers(), first));
  assert.match(id, /^[A-Za-z0-9_-]{32}$/);
  assert.equal(first.get("set-cookie"), `__Host-notifier_device=${id}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure`);
  const request = new Headers({ cookie: `theme=dark; __Host-notifier_device=${id}` });
  assert.equal(await deviceId(headerCookies(request, new Headers())), id);
  assert.notEqual(await deviceId(headerCookies(new Headers(), new Headers())), id);
});

test("a device id that this package did not make is replaced", async () => {
  for (const value of ["1", "x".repeat(200), "a b", "<script>"]) {
    const request = new Headers({ cookie: `notifier_device=${value}` });
    assert.notEqual(await deviceId(headerCookies(request, new Headers()), { secure: false }), value);
  }
});

/** A response of Node.js. */
function nodeResponse(earlier) {
  const headers = { "set-cookie": earlier };
  return { headers, headersSent: false, getHeader: (name) => headers[name], setHeader: (name, value) => (headers[name] = value) };
}

test("the device cookie of Node.js leaves other cookies alone", async () => {
  const response = nodeResponse("session=1");
  const id = await deviceId(nodeCookies({ headers: {} }, response), { secure: false });
  assert.deepEqual(response.headers["set-cookie"].length, 2);
  assert.match(response.headers["set-cookie"][1], new RegExp(`^notifier_device=${id}; .*SameSite=Lax$`));
  const late = { ...nodeResponse(), headersSent: true, setHeader: assert.fail };
  await deviceId(nodeCookies({ headers: {} }, late));
});

test("Express's request becomes a sign-in", async () => {
  const request = { ip: "203.0.113.7", headers: { "user-agent": "Firefox", cookie: "" } };
  const response = nodeResponse();
  const signIn = await express.describeSignIn(request, response, { userId: "42", email: "bat@example.mn" });
  assert.equal(response.headers["set-cookie"].length, 1);
  assert.deepEqual({ ...signIn, deviceId: undefined }, {
    userId: "42", email: "bat@example.mn", ipAddress: "203.0.113.7", userAgent: "Firefox", deviceId: undefined,
  });
});

const MESSAGE = {
  user: { id: "random", email: "bat@example.mn", name: "Бат" },
  account: { provider: "github", providerAccountId: "77", type: "oauth" },
};

test("a sign-in of Auth.js is described from the headers of its request", async () => {
  const headers = async () => new Headers({ "user-agent": "Firefox", "x-forwarded-for": "203.0.113.7" });
  assert.deepEqual(await describeSignIn(MESSAGE, { headers }), {
    userId: "github:77", email: "bat@example.mn", name: "Бат", provider: "github", ipAddress: "203.0.113.7", userAgent: "Firefox", deviceId: undefined,
  });
  const plain = () => ({ "user-agent": "Chrome" });
  assert.equal((await describeSignIn(MESSAGE, { headers: plain, remoteAddress: () => "::1" })).ipAddress, "::1");
});

test("events.signIn neither waits nor throws, whatever fails", async () => {
  const fail = () => {
    throw new Error("called outside of a request");
  };
  const reported = [];
  const notifier = { notify: (signIn) => (reported.push(signIn), new Promise(() => {})) };
  const rejecting = async () => fail();
  for (const options of [{}, { headers: fail }, { headers: rejecting }, { cookies: fail }, { cookies: rejecting }, { waitUntil: fail }]) {
    await notifySignIn(notifier, options)(MESSAGE);
  }
  await notifySignIn(notifier)({ user: null });
  assert.equal(reported.length, 6);
});

test("events.signIn hands the work to waitUntil, and the result to onResult", async () => {
  const notifier = { notify: async () => ({ outcome: "accepted", newDevice: true }) };
  const work = [];
  const results = [];
  const options = { waitUntil: (promise) => work.push(promise), onResult: (result, signIn) => results.push([result.newDevice, signIn.userId]) };
  await notifySignIn(notifier, options)(MESSAGE);
  await Promise.all(work);
  assert.deepEqual(results, [[true, "github:77"]]);
});
