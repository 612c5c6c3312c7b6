/** better-auth: a plugin that reports each new session. */

import { guarded, notifyLater, type BackgroundOptions } from "./background.js";
import { deviceId, headerCookies } from "./device.js";
import type { Notifier } from "./notifier.js";
import type { SignIn } from "./sign-in.js";

export interface BetterAuthOptions extends BackgroundOptions {
  notifier: Notifier;
  /** False allows the device cookie without https, for development. By default, the cookie is as secure as better-auth's own. */
  secure?: boolean | undefined;
}

interface NewSession {
  session: { id: string; createdAt: Date | string; ipAddress?: string | null; userAgent?: string | null };
  user: { id: string; email: string; name?: string | null };
}

interface HookContext {
  path?: string;
  params?: Record<string, string>;
  body?: Record<string, unknown>;
  headers?: Headers;
  context: { newSession?: NewSession | null; authCookies?: { sessionToken: { attributes: { secure?: boolean } } } };
}

/** better-auth's own type of it needs its package; the context is therefore checked by its use. */
type AfterHook = ((context: any) => Promise<any>) & { options: Record<string, never> };

const NEW_FOR_MS = 60_000;

/** Return the plugin. Put it last in `plugins`, so that a sign-in is reported after its second factor. */
export function signInNotices(options: BetterAuthOptions) {
  const handler = async (context: HookContext) => ({ headers: await guarded(() => report(context, options)) });
  return {
    id: "yellowbooks-notifier" as const,
    hooks: {
      after: [
        {
          matcher: (context: { context: unknown }) => isNew((context as HookContext).context.newSession),
          handler: Object.assign(handler, { options: {} }) as AfterHook,
        },
      ],
    },
  };
}

/** better-auth also names a session that it renewed; a repeat within a minute has the same jobId and causes no email. */
function isNew(created: NewSession | null | undefined): created is NewSession {
  return Boolean(created) && Date.now() - new Date(created!.session.createdAt).getTime() < NEW_FOR_MS;
}

/** Report the new session of a request. Returns the headers with the device cookie. */
async function report(context: HookContext, options: BetterAuthOptions): Promise<Headers> {
  const response = new Headers();
  const { session, user } = context.context.newSession!;
  const secure = options.secure ?? context.context.authCookies?.sessionToken.attributes.secure ?? true;
  const device = context.headers && (await guarded(() => deviceId(headerCookies(context.headers, response), { secure })));
  const signIn: SignIn = {
    userId: user.id,
    email: user.email,
    name: user.name,
    provider: providerOf(context),
    ipAddress: session.ipAddress,
    userAgent: session.userAgent,
    jobId: `session:${session.id}`,
    deviceId: device,
  };
  notifyLater(options.notifier, signIn, options);
  return response;
}

/** Return how the user signed in: the provider of a callback, `password`, or the name in the path (`magic-link`). */
function providerOf({ path = "", params, body }: HookContext): string {
  const named = params?.id ?? params?.providerId ?? (path === "/sign-in/social" ? body?.provider : undefined);
  if (typeof named === "string") return named;
  if (/^\/sign-(in|up)\/(email|username)$/.test(path)) return "password";
  return path.replace(/^\/sign-in\//, "/").split("/")[1] ?? "";
}
