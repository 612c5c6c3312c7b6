/** better-auth 1.7 with its database in memory: your auth.ts. */

import { betterAuth } from "better-auth";
import { memoryAdapter, type MemoryDB } from "better-auth/adapters/memory";
import { createNotifier } from "@yellowbooks/notifier";
import { signInNotices } from "@yellowbooks/notifier/better-auth";

const notifier = createNotifier({
  url: process.env.NOTIFIER_URL,
  key: process.env.NOTIFIER_API_KEY,
  onError: (failure) => console.error("the sign-in was not reported:", failure),
});

// Next.js may load a module once for each route; all of them share this object.
const shared = globalThis as { betterAuthTables?: MemoryDB };
const tables = (shared.betterAuthTables ??= { user: [], session: [], account: [], verification: [] });

export const auth = betterAuth({
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  plugins: [signInNotices({ notifier })], // the last plugin
});
