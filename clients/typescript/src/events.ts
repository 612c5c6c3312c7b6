/** Events of Notifier, signed as Standard Webhooks 1.0 describes, and their verification. */

import { concatenate, header, webCrypto, type HeadersLike } from "./web.js";

/** The user said "this wasn't me" about a sign-in: end their sessions. */
export interface SignInDisputed {
  type: "sign_in.disputed";
  data: {
    jobId: string;
    userId: string;
    disputedAt: string;
    signIn: {
      timestamp: string;
      provider: string;
      browser: string;
      system: string;
      newDevice: boolean;
      signals: string[];
    };
  };
}

/** The mail server took the email. */
export interface NoticeDelivered {
  type: "notice.delivered";
  data: { jobId: string; userId: string };
}

/** The email could not be sent, and no automatic attempt follows. */
export interface NoticeFailed {
  type: "notice.failed";
  data: { jobId: string; userId: string; reason: string; errorClass: string };
}

/** No email was sent: the address bounced or refused or complained, or the user opted out. */
export interface NoticeSuppressed {
  type: "notice.suppressed";
  data: { jobId: string; userId: string; reason: "bounced" | "refused" | "complained" | "opted-out" };
}

/** A test of the endpoint. */
export interface Ping {
  type: "ping";
  data: Record<string, never>;
}

interface Envelope {
  /** The same at every attempt of one event: skip an id that you have handled. */
  id: string;
  /** When the event occurred, RFC 3339 in UTC. */
  timestamp: string;
}

export type NotifierEvent = Envelope & (SignInDisputed | NoticeDelivered | NoticeFailed | NoticeSuppressed | Ping);
export type EventOfType<T extends NotifierEvent["type"]> = Extract<NotifierEvent, { type: T }>;

export type InvalidEventReason =
  | "missing-header"
  | "invalid-timestamp"
  | "too-old"
  | "too-new"
  | "wrong-signature"
  | "invalid-body"
  | "unknown-type";

/** Thrown for a request that is not an event of Notifier. */
export class InvalidEvent extends Error {
  readonly reason: InvalidEventReason;

  constructor(reason: InvalidEventReason) {
    super(`not an event of Notifier: ${reason}`);
    this.name = "InvalidEvent";
    this.reason = reason;
  }
}

export interface VerifyOptions {
  /** How many seconds the timestamp may differ from this clock; 300 by default. */
  toleranceSeconds?: number | undefined;
  /** The present time; for tests. */
  now?: Date | undefined;
}

const TEXT: Record<NotifierEvent["type"], readonly string[]> = {
  "sign_in.disputed": ["jobId", "userId", "disputedAt"],
  "notice.delivered": ["jobId", "userId"],
  "notice.failed": ["jobId", "userId", "reason", "errorClass"],
  "notice.suppressed": ["jobId", "userId", "reason"],
  ping: [],
};
const SHORTEST_SECRET = 24;

/**
 * Return the event in a request, once its signature and its age are checked.
 *
 * body: exactly the bytes that arrived, not JSON that was parsed and written again.
 * secret: the `whsec_` secret of the endpoint, or several while it is being rotated.
 * Throws InvalidEvent for anything that Notifier did not send, and TypeError for a secret that is not valid.
 */
export async function verifyEvent(
  body: string | Uint8Array,
  headers: HeadersLike,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<NotifierEvent> {
  const secrets = (typeof secret === "string" ? [secret] : secret).map(decodeSecret);
  if (secrets.length === 0) throw new TypeError("there is no secret to verify events with");
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  if (!id || !timestamp || !signatures) throw new InvalidEvent("missing-header");
  checkAge(timestamp, options);
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = concatenate([prefix, bytes], prefix.byteLength + bytes.byteLength);
  if (!(await anyMatches(signed, signatures, secrets))) throw new InvalidEvent("wrong-signature");
  return parseEvent(id, bytes);
}

/** Return the bytes of a `whsec_` secret. */
function decodeSecret(secret: string): Uint8Array {
  const bytes = decodeBase64(String(secret).trim().replace(/^whsec_/, ""));
  if (!bytes || bytes.byteLength < SHORTEST_SECRET) {
    throw new TypeError('a secret must be "whsec_" and the base64 of at least 24 bytes');
  }
  return bytes;
}

function decodeBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function checkAge(timestamp: string, { toleranceSeconds = 300, now = new Date() }: VerifyOptions): void {
  if (!/^\d{1,12}$/.test(timestamp)) throw new InvalidEvent("invalid-timestamp");
  const age = now.getTime() / 1000 - Number(timestamp);
  if (age > toleranceSeconds) throw new InvalidEvent("too-old");
  if (age < -toleranceSeconds) throw new InvalidEvent("too-new");
}

/** Return whether one of the v1 signatures was made with one of the secrets. `verify` compares in constant time. */
async function anyMatches(signed: Uint8Array, signatures: string, secrets: Uint8Array[]): Promise<boolean> {
  const { subtle } = await webCrypto();
  const candidates = signatures.split(" ").filter((each) => each.startsWith("v1,")).slice(0, 8);
  for (const secret of secrets) {
    const key = await subtle.importKey("raw", secret as BufferSource, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const candidate of candidates) {
      const signature = decodeBase64(candidate.slice(3));
      if (signature && (await subtle.verify("HMAC", key, signature as BufferSource, signed as BufferSource))) return true;
    }
  }
  return false;
}

function parseEvent(id: string, bytes: Uint8Array): NotifierEvent {
  const { type, timestamp, data } = parseBody(bytes);
  if (typeof type !== "string" || typeof timestamp !== "string") throw new InvalidEvent("invalid-body");
  if (!Object.hasOwn(TEXT, type)) throw new InvalidEvent("unknown-type");
  const fields = (typeof data === "object" && data !== null ? data : {}) as Record<string, unknown>;
  const complete = TEXT[type as NotifierEvent["type"]].every((name) => typeof fields[name] === "string");
  if (!complete || (type === "sign_in.disputed" && typeof fields.signIn !== "object")) throw new InvalidEvent("invalid-body");
  return { id, type, timestamp, data: fields } as unknown as NotifierEvent;
}

function parseBody(bytes: Uint8Array): Record<string, unknown> {
  try {
    return Object(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))) as Record<string, unknown>;
  } catch {
    throw new InvalidEvent("invalid-body");
  }
}
