/** A sign-in in the form of the API: a stable user id, the client's address, and nothing that the API refuses. */

import { header, type HeadersLike } from "./web.js";

export interface SignIn {
  /** Your user's id. It must be the same at every sign-in: see `stableUserId`. */
  userId: string;
  email: string;
  name?: string | null | undefined;
  /** `password` (the default), `github`, `google`, … */
  provider?: string | null | undefined;
  /** The client's address: see `clientAddress`. An invalid or missing one is sent as "not known". */
  ipAddress?: string | null | undefined;
  userAgent?: string | null | undefined;
  /** When the user signed in; now by default. */
  timestamp?: Date | string | undefined;
  /** 1 to 128 of `A-Z a-z 0-9 . _ : -`. Repeating it never causes a second email. A random one by default. */
  jobId?: string | undefined;
  /** The opaque id of the user's browser: see `deviceId`. */
  deviceId?: string | null | undefined;
  /** The language ("mn", "en" or another that Notifier has) and time zone of the email; by default those of your site. */
  locale?: string | undefined;
  timezone?: string | undefined;
}

/** The body of POST /api/jobs/signin-notification. */
export interface SignInNotification {
  userId: string;
  email: string;
  name: string;
  provider: string;
  ipAddress: string;
  userAgent: string;
  timestamp: string;
  jobId: string;
  deviceId?: string;
  locale?: string;
  timezone?: string;
}

export interface Account {
  provider?: string | undefined;
  providerAccountId?: string | undefined;
  /** `oauth`, `oidc`, `email`, `credentials` or `webauthn`. */
  type?: string | undefined;
}

export interface User {
  id?: string | number | null | undefined;
  email?: string | null | undefined;
  name?: string | null | undefined;
}

export const UNKNOWN_ADDRESS = "0.0.0.0";
const NAME_LENGTH = 200;
const USER_AGENT_LENGTH = 1000;
const OWN_IDS = ["credentials", "email", "webauthn"];

/**
 * Return an id that is the same at every sign-in of a user.
 *
 * Without a database adapter, Auth.js 5 makes a new `user.id` at each sign-in, so the provider's own id is used:
 * `github:77`. adapter: the site has one, so `user.id` is the id of a row.
 */
export function stableUserId(account: Account | null | undefined, user: User, options: { adapter?: boolean } = {}): string {
  const own = OWN_IDS.includes(account?.type ?? "") || account?.provider === "credentials";
  if (!options.adapter && !own && account?.provider && account.providerAccountId) {
    return `${account.provider}:${account.providerAccountId}`;
  }
  return String(user.id ?? user.email ?? "");
}

/**
 * Return the client's address; "0.0.0.0", which means "not known", when there is none or an invalid one.
 *
 * trustedProxies: how many of your own proxies are in front of the site (1 by default). The address is the one that
 * the first of them added to X-Forwarded-For: the client itself can write any entry to the left of it.
 * remoteAddress: the address of the connection, for a site without a proxy.
 */
export function clientAddress(
  headers: HeadersLike | null | undefined,
  options: { trustedProxies?: number | undefined; remoteAddress?: string | null | undefined } = {},
): string {
  const { trustedProxies = 1, remoteAddress } = options;
  const entries = header(headers, "x-forwarded-for").split(",").map((entry) => entry.trim());
  const forwarded = trustedProxies > 0 ? entries.at(-trustedProxies) : undefined;
  return validAddress(forwarded || remoteAddress);
}

/** Return an IP address without brackets, port and zone; "0.0.0.0" for anything else. */
export function validAddress(text: string | null | undefined): string {
  const address = (text ?? "").replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/%.*$/, "");
  const v4 = /^(\d{1,3}(?:\.\d{1,3}){3})(:\d+)?$/.exec(address)?.[1];
  if (v4) return v4.split(".").every((part) => Number(part) < 256 && !/^0\d/.test(part)) ? v4 : UNKNOWN_ADDRESS;
  return /^[0-9a-f:.]{2,45}$/i.test(address) && address.includes(":") && isIPv6(address) ? address : UNKNOWN_ADDRESS;
}

function isIPv6(address: string): boolean {
  try {
    return new URL(`http://[${address}]`).hostname.length > 2;
  } catch {
    return false;
  }
}

/** Return the sign-in in the form of the API, with `defaults` for its language and time zone. */
export function describe(signIn: SignIn, jobId: string, defaults: Pick<SignIn, "locale" | "timezone">): SignInNotification {
  const { deviceId, locale = defaults.locale, timezone = defaults.timezone, timestamp = new Date() } = signIn;
  return {
    userId: String(signIn.userId),
    email: signIn.email,
    name: clean(signIn.name, NAME_LENGTH),
    provider: providerName(signIn.provider),
    ipAddress: validAddress(signIn.ipAddress),
    userAgent: clean(signIn.userAgent, USER_AGENT_LENGTH),
    timestamp: typeof timestamp === "string" ? timestamp : timestamp.toISOString(),
    jobId,
    ...(deviceId && { deviceId }),
    ...(locale && { locale }),
    ...(timezone && { timezone }),
  };
}

/** Return a provider's name as the API takes it; `password` for none and for "credentials". */
function providerName(provider: string | null | undefined): string {
  const name = (provider ?? "").replace(/[^A-Za-z0-9 ._-]/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 64);
  return name === "" || name === "credentials" ? "password" : name;
}

/** Remove NUL and lone surrogates, which the API refuses: a hostile header must not lose the notice. */
function clean(text: string | null | undefined, length: number): string {
  return Array.from((text ?? "").slice(0, 2 * length))
    .filter((character) => character !== "\u0000" && !/^[\ud800-\udfff]$/.test(character))
    .slice(0, length)
    .join("");
}
