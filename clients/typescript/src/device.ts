/** The device id: a random opaque value in a cookie, by which Notifier recognises a browser. It stores only a keyed hash. */

import { header, webCrypto, type HeadersLike } from "./web.js";

export interface CookieOptions {
  httpOnly: true;
  secure: boolean;
  sameSite: "lax";
  path: "/";
  /** In seconds. */
  maxAge: number;
}

/** Cookies of a request and its response: `await cookies()` of Next.js, or one of the functions below. */
export interface CookieStore {
  get(name: string): { value: string } | undefined;
  set(name: string, value: string, options: CookieOptions): unknown;
}

export const DEVICE_COOKIE = "notifier_device";
const YEAR = 365 * 24 * 60 * 60;
const VALID = /^[A-Za-z0-9_-]{22,128}$/;

/**
 * Return the device id in the cookie, or a new one, and set the cookie for another year.
 *
 * secure: false allows a cookie without https, for development. The cookie's name has the prefix `__Host-` otherwise.
 */
export async function deviceId(cookies: CookieStore, { secure = true }: { secure?: boolean | undefined } = {}): Promise<string> {
  const name = secure ? `__Host-${DEVICE_COOKIE}` : DEVICE_COOKIE;
  const known = cookies.get(name)?.value;
  const id = known && VALID.test(known) ? known : await newId();
  cookies.set(name, id, { httpOnly: true, secure, sameSite: "lax", path: "/", maxAge: YEAR });
  return id;
}

async function newId(): Promise<string> {
  const bytes = (await webCrypto()).getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_");
}

/** Return the cookies of a fetch request. New ones are appended to the headers of your response. */
export function headerCookies(request: HeadersLike | null | undefined, response: Headers): CookieStore {
  return {
    get: (name) => readCookie(header(request, "cookie"), name),
    set: (name, value, options) => response.append("set-cookie", serialize(name, value, options)),
  };
}

export interface NodeResponse {
  headersSent: boolean;
  getHeader(name: string): number | string | string[] | undefined;
  setHeader(name: string, value: string[]): unknown;
}

/** Return the cookies of a request of Node.js, Express or Next.js's `pages/`. */
export function nodeCookies(request: { headers: HeadersLike }, response: NodeResponse): CookieStore {
  return {
    get: (name) => readCookie(header(request.headers, "cookie"), name),
    set(name, value, options) {
      if (response.headersSent) return;
      const earlier = response.getHeader("set-cookie") ?? [];
      response.setHeader("set-cookie", [...[earlier].flat().map(String), serialize(name, value, options)]);
    },
  };
}

function readCookie(cookies: string, name: string): { value: string } | undefined {
  const found = cookies.split(";").map((pair) => pair.trim()).find((pair) => pair.startsWith(`${name}=`));
  return found === undefined ? undefined : { value: found.slice(name.length + 1) };
}

function serialize(name: string, value: string, options: CookieOptions): string {
  const secure = options.secure ? "; Secure" : "";
  return `${name}=${value}; Path=${options.path}; Max-Age=${options.maxAge}; HttpOnly; SameSite=Lax${secure}`;
}
