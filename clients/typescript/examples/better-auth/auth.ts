/** better-auth 1.7 with its database in memory: your auth.ts. */

import { betterAuth } from "better-auth";
import { memoryAdapter, type MemoryDB } from "better-auth/adapters/memory";
import { genericOAuth } from "better-auth/plugins";
import { createNotifier, type Result } from "@yellowbooks/notifier";
import { signInNotices } from "@yellowbooks/notifier/better-auth";

const notifier = createNotifier({
  url: process.env.NOTIFIER_URL,
  key: process.env.NOTIFIER_API_KEY,
  onError: (failure) => console.error("the sign-in was not reported:", failure),
});

/** Log the verdict; a site may ask for a second factor instead. */
const onResult = (result: Result) => console.info("the sign-in was reported:", JSON.stringify(result));

// Next.js may load a module once for each route; all of them share this object.
const shared = globalThis as { betterAuthTables?: MemoryDB };
const tables: MemoryDB = (shared.betterAuthTables ??= { user: [], session: [], account: [], verification: [] });

const sso = {
  providerId: "sso",
  clientId: process.env.SSO_CLIENT_ID!,
  clientSecret: process.env.SSO_CLIENT_SECRET!,
  discoveryUrl: `${process.env.SSO_ISSUER}/.well-known/openid-configuration`,
  scopes: ["openid", "email", "profile"],
};

export const auth = betterAuth({
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  plugins: [genericOAuth({ config: [sso] }), signInNotices({ notifier, onResult })], // signInNotices is the last one
});
