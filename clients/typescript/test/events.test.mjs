// verifyEvent and handleEvents: only what Notifier signed, recently, is taken; a failing handler is tried again.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";
import { handleEvents, InvalidEvent, verifyEvent } from "@yellowbooks/notifier";
import { handleEvents as handleNodeEvents } from "@yellowbooks/notifier/express";
import { disputed, listen, post, SECRET, signed } from "./support.mjs";

const OTHER = `whsec_${randomBytes(32).toString("base64")}`;
const rejects = (reason, ...given) => assert.rejects(verifyEvent(...given), (error) => error instanceof InvalidEvent && error.reason === reason);

test("an event is returned with its id", async () => {
  const [body, headers] = signed(disputed());
  const event = await verifyEvent(body, headers, SECRET);
  assert.deepEqual(event, { id: headers["webhook-id"], ...disputed() });
  assert.deepEqual(await verifyEvent(Buffer.from(body), new Headers(headers), [SECRET]), event);
});

test("the example of Standard Webhooks has a valid signature", async () => {
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const given = ['{"test": 2432232314}', headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", { now: new Date(1614265330_000) }];
  await rejects("invalid-body", ...given); // signed, but not an event of Notifier
  await rejects("wrong-signature", "{}", ...given.slice(1));
});

test("while a secret is rotated, either of two signatures and secrets is enough", async () => {
  const [body, headers] = signed(disputed());
  const [, old] = signed(disputed(), { secret: OTHER });
  const both = { ...headers, "webhook-signature": `v1,AAAA v1a,AAAA ${old["webhook-signature"]} ${headers["webhook-signature"]}` };
  await verifyEvent(body, both, SECRET);
  await verifyEvent(body, both, OTHER);
  await verifyEvent(body, headers, [OTHER, SECRET]);
});

test("what was changed on the way, or signed by another, is refused", async () => {
  const [body, headers] = signed(disputed());
  await rejects("wrong-signature", body.replace("42", "43"), headers, SECRET);
  await rejects("wrong-signature", body, { ...headers, "webhook-id": "evt_other" }, SECRET);
  await rejects("wrong-signature", body, { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 1) }, SECRET);
  await rejects("wrong-signature", body, headers, OTHER);
  for (const signature of ["v1,", "v1", "x", "v1,***", headers["webhook-signature"].replace("v1,", "v2,")]) {
    await rejects("wrong-signature", body, { ...headers, "webhook-signature": signature }, SECRET);
  }
});

test("an event that is more than five minutes old or ahead is refused", async () => {
  for (const [minutes, reason] of [[-5.1, "too-old"], [5.1, "too-new"]]) {
    await rejects(reason, ...signed(disputed(), { at: Date.now() + minutes * 60_000 }), SECRET);
  }
  await verifyEvent(...signed(disputed(), { at: Date.now() - 4.9 * 60_000 }), SECRET);
  const [body, headers] = signed(disputed());
  for (const timestamp of ["now", "-1", "1e9", "NaN"]) await rejects("invalid-timestamp", body, { ...headers, "webhook-timestamp": timestamp }, SECRET);
});

test("a request without one of the headers is refused", async () => {
  const [body, headers] = signed(disputed());
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    await rejects("missing-header", body, { ...headers, [name]: undefined }, SECRET);
  }
});

test("a secret that could not protect anything is an error of the site", async () => {
  const [body, headers] = signed(disputed());
  for (const secret of ["", "whsec_", "whsec_AAAA", undefined, "whsec_!", []]) {
    await assert.rejects(verifyEvent(body, headers, secret), TypeError);
  }
});

test("a signed body that is not an event is refused", async () => {
  const { data, ...bare } = disputed();
  for (const body of ["", "null", "[]", '"x"', "{", "{}", JSON.stringify(bare), JSON.stringify({ ...bare, data: { ...data, userId: 1 } })]) {
    await rejects("invalid-body", ...signed(body), SECRET);
  }
  await rejects("unknown-type", ...signed({ ...disputed(), type: "constructor" }), SECRET);
});

/** Handlers that write down what they get. */
function recorder(more = {}) {
  const events = [];
  const errors = [];
  const take = (event) => events.push(event.type);
  const handlers = { onDisputed: take, onDelivered: take, onFailed: take, onSuppressed: take, onPing: take };
  return { events, errors, handlers: { secret: SECRET, ...handlers, onError: (error) => errors.push(error), ...more } };
}

const EVERY_TYPE = {
  "sign_in.disputed": disputed().data,
  "notice.delivered": { jobId: "a", userId: "42" },
  "notice.failed": { jobId: "a", userId: "42", reason: "exhausted", errorClass: "temporary" },
  "notice.suppressed": { jobId: "a", userId: "42", reason: "bounced" },
  ping: {},
};

test("each type of event reaches its handler", async () => {
  const { events, errors, handlers } = recorder();
  const handle = handleEvents(handlers);
  for (const [type, data] of Object.entries(EVERY_TYPE)) {
    const response = await handle(post(...signed({ type, timestamp: "2026-03-01T02:00:00Z", data })));
    assert.deepEqual([response.status, await response.text()], [204, ""]);
  }
  assert.deepEqual(events, Object.keys(EVERY_TYPE));
  assert.deepEqual(errors, []);
});

test("a type of a newer Notifier is taken and ignored", async () => {
  const { events, errors, handlers } = recorder();
  assert.equal((await handleEvents(handlers)(post(...signed({ ...disputed(), type: "notice.read" })))).status, 204);
  assert.deepEqual([events, errors], [[], []]);
});

test("an event without a handler is taken", async () => {
  assert.equal((await handleEvents({ secret: SECRET })(post(...signed(disputed())))).status, 204);
});

test("an event is handled once, and again only when its handler failed", async () => {
  let fails = true;
  const { events, errors, handlers } = recorder({ seen: new Set() });
  const failing = (event) => {
    if (fails) throw new Error("the database is away");
    events.push(event.type);
  };
  const handle = handleEvents({ ...handlers, onDisputed: failing });
  const deliver = async () => (await handle(post(...signed(disputed())))).status;
  assert.equal(await deliver(), 500);
  fails = false;
  assert.deepEqual([await deliver(), await deliver(), await deliver()], [204, 204, 204]);
  assert.deepEqual(events, ["sign_in.disputed"]);
  assert.equal(errors.length, 1);
});

test("a refused request says why, and reaches no handler", async () => {
  const { events, errors, handlers } = recorder();
  const handle = handleEvents(handlers);
  const [body, headers] = signed(disputed());
  const statuses = [];
  for (const request of [
    post(body, { ...headers, "webhook-signature": "v1,AAAA" }),
    post(body, {}),
    post(...signed("{}")),
    post(...signed(disputed(), { at: 0 })),
    post(...signed("x".repeat(64 * 1024 + 1))),
    new Request("https://shop.example.mn/", { headers }),
  ]) {
    statuses.push((await handle(request)).status);
  }
  assert.deepEqual(statuses, [401, 401, 400, 401, 413, 405]);
  assert.deepEqual(events, []);
  assert.deepEqual(errors.map(({ reason }) => reason), ["wrong-signature", "missing-header", "invalid-body", "too-old"]);
});

test("a secret that is missing is the site's own fault: 500, and the error is reported", async () => {
  const { errors, handlers } = recorder({ secret: undefined });
  assert.equal((await handleEvents(handlers)(post(...signed(disputed())))).status, 500);
  assert.ok(errors[0] instanceof TypeError);
});

test("the handler for Node.js takes events, also those that another middleware has read", async (context) => {
  const { events, errors, handlers } = recorder();
  const handle = handleNodeEvents(handlers);
  let middleware = () => {};
  const server = createServer((request, response) => (middleware(request), handle(request, response)));
  const url = await listen(context, server);
  const send = async (body, headers) => (await fetch(url, { method: "POST", body, headers })).status;
  const [body, headers] = signed(disputed());
  assert.equal(await send(body, headers), 204);
  assert.equal(await send(body, { ...headers, "webhook-signature": "v1,AAAA" }), 401);
  assert.equal(await send("x".repeat(64 * 1024 + 1), headers), 413);
  middleware = (request) => (request.body = Buffer.from(body));
  assert.equal(await send(body, headers), 204);
  middleware = (request) => (request.body = JSON.parse(body));
  assert.equal(await send(body, headers), 500);
  assert.match(errors.at(-1).message, /before express.json/);
  assert.deepEqual(events, ["sign_in.disputed", "sign_in.disputed"]);
});

test("a body without a length is read up to 64 KiB", async (context) => {
  const { events, handlers } = recorder();
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16 * 1024)) });
  const [, headers] = signed(disputed());
  const request = new Request("https://shop.example.mn/", { method: "POST", body: endless, headers, duplex: "half" });
  assert.equal((await handleEvents(handlers)(request)).status, 413);
  assert.deepEqual(events, []);
  const url = await listen(context, createServer(handleNodeEvents(handlers)));
  const stream = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16 * 1024)) });
  const cutOff = () => 413; // the connection may end before the response is read
  assert.equal(await fetch(url, { method: "POST", body: stream, headers, duplex: "half" }).then(({ status }) => status, cutOff), 413);
});
