/** Auth.js 5 and NextAuth 4: `events.signIn`. */

import { guarded, notifyLater, type BackgroundOptions } from "./background.js";
import { deviceId, type CookieStore } from "./device.js";
import type { Notifier } from "./notifier.js";
import { clientAddress, stableUserId, type Account, type SignIn, type User } from "./sign-in.js";
import { header, type HeadersLike } from "./web.js";

export { nodeCookies } from "./device.js";

/** What Auth.js passes to `events.signIn`. */
export interface SignInMessage {
  user: User;
  account?: Account | null | undefined;
}

export interface AuthJsOptions extends BackgroundOptions {
  /** The headers of the request: `headers` of next/headers, or `() => request.headers` in `pages/`. */
  headers?: (() => HeadersLike | Promise<HeadersLike>) | undefined;
  /** The cookies, for the device id: `cookies` of next/headers, or `() => nodeCookies(request, response)`. */
  cookies?: (() => CookieStore | Promise<CookieStore>) | undefined;
  /** Whether the site has a database adapter: then `user.id` is the user's id, otherwise the provider's id is. */
  adapter?: boolean | undefined;
  /** Number of your own proxies in front of the site; 1 by default. */
  trustedProxies?: number | undefined;
  /** The address of the connection, for a site without a proxy. */
  remoteAddress?: (() => string | null | undefined) | undefined;
  /** False allows the device cookie without https, for development. */
  secure?: boolean | undefined;
}

/** Return a function for `events.signIn`. It neither throws nor waits for Notifier. */
export function notifySignIn(notifier: Notifier, options: AuthJsOptions = {}): (message: SignInMessage) => Promise<void> {
  return async (message) => {
    const signIn = await guarded(() => describeSignIn(message, options));
    if (signIn) notifyLater(notifier, signIn, options);
  };
}

/** Return the sign-in of a message. Sets the device cookie when `cookies` is given. */
export async function describeSignIn({ user, account }: SignInMessage, options: AuthJsOptions = {}): Promise<SignIn> {
  const { adapter = false, trustedProxies, remoteAddress, cookies, secure } = options;
  const headers = await guarded(() => options.headers?.());
  const device = await guarded(async () => cookies && deviceId(await cookies(), { secure }));
  return {
    userId: stableUserId(account, user, { adapter }),
    email: user.email ?? "",
    name: user.name,
    provider: account?.type === "credentials" ? "password" : account?.provider,
    ipAddress: clientAddress(headers, { trustedProxies, remoteAddress: await guarded(() => remoteAddress?.()) }),
    userAgent: header(headers, "user-agent"),
    deviceId: device,
  };
}
