/** Sends a sign-in to Notifier. Never throws; retries with one job id, so that the user gets one email. */

import { describe, type SignIn, type SignInNotification } from "./sign-in.js";
import { readAtMost, webCrypto } from "./web.js";

export interface NotifierOptions {
  /** Where Notifier is: https://notifier.example.mn */
  url: string | URL | undefined;
  /** An API key with the scope `enqueue`. It is sent to `url` only. */
  key: string | undefined;
  /** For tests, or to send through a service binding. */
  fetch?: typeof fetch | undefined;
  /** Milliseconds for one attempt; 3,000 by default. */
  timeoutMs?: number | undefined;
  /** Milliseconds for all attempts and the waits between them; 15,000 by default. */
  budgetMs?: number | undefined;
  /** Milliseconds before the second attempt; 300 by default. The wait doubles each time. */
  backoffMs?: number | undefined;
  /** Called when a notice was not taken. The failure has neither the key nor personal data. */
  onError?: ((failure: Refused | Unreachable) => void) | undefined;
  /** The language and time zone of the emails, when a sign-in has none. */
  locale?: string | undefined;
  timezone?: string | undefined;
}

/** Something unusual about a sign-in. A newer Notifier may send other names. */
export type Signal = "new_country" | "after_failures" | "long_absence" | "two_countries" | (string & {});

/** Notifier has the notice, and sends the email in the background. */
export interface Accepted {
  outcome: "accepted";
  jobId: string;
  status: string;
  /** Whether the user signed in with this device for the first time; undefined when Notifier does not say. */
  newDevice?: boolean;
  signals: Signal[];
}

/** Notifier had the notice already: an earlier attempt had arrived. */
export interface Duplicate {
  outcome: "duplicate";
  jobId: string;
  status: string;
}

/** Notifier, or another server at its URL, refused the notice. Repeating it would not help. */
export interface Refused {
  outcome: "refused";
  jobId: string;
  /** The HTTP status; 0 when nothing was sent. */
  httpStatus: number;
  /** The name of the problem in docs/api.md, or `unexpected-response`, `redirected`, `no-email`, `invalid-sign-in`, `invalid-configuration`. */
  problem: string;
  errors: { field: string; message: string }[];
}

/** No attempt got an answer within the budget. Notifier may have the notice; repeating it with this jobId is safe. */
export interface Unreachable {
  outcome: "unreachable";
  jobId: string;
  attempts: number;
  /** The last failure: `503 database-away`, `TimeoutError`, … */
  reason: string;
}

export type Result = Accepted | Duplicate | Refused | Unreachable;

export interface Notifier {
  /** Send a sign-in. Never rejects. */
  notify(signIn: SignIn): Promise<Result>;
}

const PATH = "/api/jobs/signin-notification";
const PROBLEM = "urn:notifier:problem:";
const LONGEST_ANSWER = 64 * 1024;
const LONGEST_WAIT = 5_000;

/** Return a notifier. Invalid options are reported by `notify`, so that a build without the environment succeeds. */
export function createNotifier(options: NotifierOptions): Notifier {
  return {
    async notify(signIn) {
      const result = await attempt(signIn, options);
      if (result.outcome === "refused" || result.outcome === "unreachable") report(result, options);
      return result;
    },
  };
}

/** Call `onError`, whose own errors change nothing. */
function report(failure: Refused | Unreachable, options: NotifierOptions): void {
  try {
    options.onError?.(failure);
  } catch {
    // a sign-in never fails for this
  }
}

async function attempt(signIn: SignIn, options: NotifierOptions): Promise<Result> {
  let jobId = "";
  try {
    jobId = signIn.jobId ?? `signin-${(await webCrypto()).randomUUID()}`;
    if (!signIn.email) return refused(jobId, 0, "no-email");
    const notification = describe(signIn, jobId, options);
    const request = prepare(notification, options);
    return request ? await send(request, jobId, options) : refused(jobId, 0, "invalid-configuration");
  } catch {
    return refused(jobId, 0, "invalid-sign-in");
  }
}

interface Prepared {
  address: URL;
  init: RequestInit;
}

/** Return the request; null when `url` or `key` cannot be used. */
function prepare(notification: SignInNotification, options: NotifierOptions): Prepared | null {
  const body = JSON.stringify(notification);
  try {
    const address = new URL(PATH, options.url);
    if (!/^https?:$/.test(address.protocol) || !options.key) return null;
    const headers = new Headers({ "content-type": "application/json", authorization: `Bearer ${options.key.trim()}` });
    return { address, init: { method: "POST", headers, body, redirect: "manual" } };
  } catch {
    return null;
  }
}

/** Try until Notifier answers or the budget is spent. */
async function send({ address, init }: Prepared, jobId: string, options: NotifierOptions): Promise<Result> {
  const { timeoutMs = 3_000, budgetMs = 15_000, backoffMs = 300 } = options;
  const end = Date.now() + budgetMs;
  for (let attempts = 1; ; attempts++) {
    const signal = AbortSignal.timeout(Math.max(1, Math.min(timeoutMs, end - Date.now())));
    const answer = await post(address, { ...init, signal }, options.fetch ?? fetch);
    const result = judge(answer, jobId);
    if (result) return result;
    const wait = Math.max(Math.min(backoffMs * 2 ** (attempts - 1), LONGEST_WAIT) * (1 + Math.random() / 10), answer.retryAfterMs);
    const reason = `${answer.status || ""} ${answer.problem}`.trim();
    if (Date.now() + wait >= end) return { outcome: "unreachable", jobId, attempts, reason };
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

interface Answer {
  /** 0 when there was none. */
  status: number;
  problem: string;
  retryAfterMs: number;
  body: Record<string, unknown>;
}

async function post(address: URL, init: RequestInit, fetcher: typeof fetch): Promise<Answer> {
  try {
    const response = await fetcher(address, init);
    if (response.type === "opaqueredirect") return { status: 302, problem: "redirected", retryAfterMs: 0, body: {} };
    const body = parse(await readAtMost(response.body, LONGEST_ANSWER));
    const type = String(body.type ?? "");
    const problem = type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : "unexpected-response";
    return { status: response.status, problem, retryAfterMs: delay(response.headers.get("retry-after")), body };
  } catch (error) {
    return { status: 0, problem: error instanceof Error ? error.name : "no answer", retryAfterMs: 0, body: {} };
  }
}

/** Return the JSON object in a response; {} for anything else, such as a proxy's page. */
function parse(bytes: Uint8Array | null): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array()));
    return typeof body === "object" && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Return the milliseconds of a Retry-After, which is a number or a date; 0 for anything else. */
function delay(retryAfter: string | null): number {
  if (/^\d+$/.test(retryAfter ?? "")) return Number(retryAfter) * 1000;
  return Math.max(0, Date.parse(retryAfter ?? "") - Date.now()) || 0;
}

/** Return the result that an answer means; null when a retry may help. */
function judge({ status, problem, body }: Answer, jobId: string): Result | null {
  if (status === 202 && typeof body.jobId === "string") {
    const signals = Array.isArray(body.signals) ? body.signals.filter((name) => typeof name === "string") : [];
    const verdict = typeof body.newDevice === "boolean" ? { newDevice: body.newDevice } : {};
    return { outcome: "accepted", jobId, status: String(body.status), signals, ...verdict };
  }
  if (status === 409 && problem === "duplicate-job") return { outcome: "duplicate", jobId, status: String(body.status) };
  if (status === 0 || status >= 500 || (status === 429 && problem !== "too-many-notices")) return null;
  return refused(jobId, status, status >= 300 && status < 400 ? "redirected" : problem, body.errors);
}

function refused(jobId: string, httpStatus: number, problem: string, errors?: unknown): Refused {
  const list = (Array.isArray(errors) ? errors : []).map((error) => ({
    field: String(error?.field ?? ""),
    message: String(error?.message ?? ""),
  }));
  return { outcome: "refused", jobId, httpStatus, problem, errors: list };
}
