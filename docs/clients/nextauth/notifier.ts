/**
 * Reports a sign-in to Notifier. One file, no dependency: copy it into your project.
 * Auth.js 5 and NextAuth 4, Node.js 18 and newer, edge runtimes. How to wire it: ./auth.ts
 *
 * It never delays a sign-in and never throws. It retries with one jobId, so the user gets one email.
 */

export interface NotifierOptions {
  /** The address of Notifier: https://notifier.example.mn */
  url: string;
  /** A key with the scope enqueue. Keep it in an environment variable of the server. */
  apiKey: string;
  /** Number of your own proxies in front of the site; 0 when any client can set X-Forwarded-For. */
  trustedProxies?: number;
  /** The language and time zone of the email; by default Notifier's own. */
  locale?: "mn" | "en";
  timezone?: string;
  /** Keeps the process alive until the work is done: `after` of next/server, `waitUntil` of your platform. */
  defer?: (work: () => Promise<void>) => void;
  /** Called with the error of a notice that could not be delivered. Its message has neither the key nor personal data. */
  onError?: (error: Error) => void;
  /** Milliseconds for one attempt, and the wait before the second one; the wait doubles each time. */
  timeout?: number;
  backoff?: number;
  tries?: number;
}

export interface SignedIn {
  user: { id?: string | null; email?: string | null; name?: string | null };
  account?: { provider?: string; providerAccountId?: string } | null;
  /** The headers of the request that signed in. */
  headers?: { get(name: string): string | null } | null;
  /** The address of the socket, when there is no proxy. */
  remoteAddress?: string | null;
}

export interface Notification {
  userId: string;
  email: string;
  name: string;
  provider: string;
  ipAddress: string;
  userAgent: string;
  timestamp: string;
  jobId: string;
  locale?: "mn" | "en";
  timezone?: string;
}

export interface Notifier {
  /** Returns immediately; the notice is delivered in the background. For `events.signIn`. */
  signedIn(event: SignedIn): void;
  /** Waits for the result: true when Notifier has the notice. Never throws. */
  deliver(event: SignedIn): Promise<boolean>;
}

const UNKNOWN_ADDRESS = "0.0.0.0";

export function createNotifier(options: NotifierOptions): Notifier {
  const report = (error: unknown): void => {
    options.onError?.(error instanceof Error ? error : new Error(String(error)));
  };

  /** `describe` runs before the first wait: the request may no longer exist afterwards. */
  const start = (event: SignedIn): (() => Promise<boolean>) => {
    try {
      const notification = describe(event, options);
      if (!notification) return async () => false;
      return () => send(notification, options).then(() => true, (error) => (report(error), false));
    } catch (error) {
      report(error);
      return async () => false;
    }
  };

  return {
    deliver: (event) => start(event)(),
    signedIn: (event) => {
      const work = start(event);
      const defer = options.defer ?? ((later) => void later());
      try {
        defer(async () => void (await work()));
      } catch (error) {
        report(error);
      }
    },
  };
}

/** Returns the notice in the form of the API; null for a user without an address. */
export function describe(event: SignedIn, options: NotifierOptions): Notification | null {
  const { user, account, headers } = event;
  if (!user.email) return null;
  const provider = account?.provider ?? "password";
  return {
    userId: stableId(event).slice(0, 128),
    email: user.email,
    name: clean(user.name ?? "").slice(0, 200),
    provider: provider === "credentials" ? "password" : provider,
    ipAddress: addressOf(headers, options.trustedProxies ?? 1, event.remoteAddress),
    userAgent: clean(headers?.get("user-agent") ?? "").slice(0, 1000),
    timestamp: new Date().toISOString(),
    jobId: `signin-${crypto.randomUUID()}`,
    ...(options.locale && { locale: options.locale }),
    ...(options.timezone && { timezone: options.timezone }),
  };
}

/** The provider's own id where there is one: without an adapter, Auth.js 5 makes a new user.id at every sign-in. */
function stableId({ user, account }: SignedIn): string {
  const own = account?.provider !== "credentials" && account?.providerAccountId;
  return own ? `${account!.provider}:${own}` : String(user.id ?? user.email);
}

/** The client's address: the entry that the first of our own proxies wrote. Entries to the left of it cannot be trusted. */
export function addressOf(headers: SignedIn["headers"], trustedProxies: number, remoteAddress?: string | null): string {
  const entries = (headers?.get("x-forwarded-for") ?? "").split(",").map((entry) => entry.trim());
  const forwarded = trustedProxies > 0 ? entries.at(-trustedProxies) : undefined;
  const address = (forwarded || remoteAddress || "").replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/%.*$/, "");
  const v4 = /^(\d{1,3}(?:\.\d{1,3}){3})(:\d+)?$/.exec(address);
  if (v4) return v4[1]!.split(".").every((part) => Number(part) < 256 && !/^0\d/.test(part)) ? v4[1]! : UNKNOWN_ADDRESS;
  return /^[0-9a-f:.]{2,45}$/i.test(address) && address.includes(":") && isIPv6(address) ? address : UNKNOWN_ADDRESS;
}

function isIPv6(address: string): boolean {
  try {
    return new URL(`http://[${address}]`).hostname.length > 2;
  } catch {
    return false;
  }
}

/** Removes lone surrogates and NUL, which the API refuses: a hostile header must not lose the notice. */
function clean(text: string): string {
  return Array.from(text)
    .filter((character) => character !== "\u0000" && !/^[\ud800-\udfff]$/.test(character))
    .join("");
}

/** Delivers the notice. 202 and a 409 for a repeated jobId mean that Notifier has it. Throws when it gives up. */
async function send(notification: Notification, options: NotifierOptions): Promise<void> {
  const { timeout = 5000, backoff = 1000, tries = 6 } = options;
  for (let attempt = 1; ; attempt++) {
    const answer = await post(notification, options, timeout);
    if (answer.status === 202 || (answer.status === 409 && answer.problem.endsWith(":duplicate-job"))) return;
    const again = answer.status === 0 || answer.status >= 500 || (answer.status === 429 && !answer.problem.endsWith(":too-many-notices"));
    if (!again || attempt === tries) {
      throw new Error(`Notifier did not take the notice ${notification.jobId}: ${answer.status} ${answer.problem}`);
    }
    const wait = Math.max(backoff * 2 ** (attempt - 1) * (1 + Math.random() / 10), answer.retryAfter * 1000);
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, 60_000)));
  }
}

interface Answer {
  status: number;
  problem: string;
  retryAfter: number;
}

/** Makes one attempt. Status 0: no response. */
async function post(notification: Notification, options: NotifierOptions, timeout: number): Promise<Answer> {
  try {
    const response = await fetch(new URL("/api/jobs/signin-notification", options.url), {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${options.apiKey}` },
      body: JSON.stringify(notification),
      signal: AbortSignal.timeout(timeout),
      redirect: "error",
      cache: "no-store",
    });
    const body = (await response.json().catch(() => ({}))) as { type?: string };
    const retryAfter = Number(response.headers.get("retry-after")) || 0;
    return { status: response.status, problem: String(body.type ?? ""), retryAfter };
  } catch (error) {
    return { status: 0, problem: error instanceof Error ? error.name : "no answer", retryAfter: 0 };
  }
}
