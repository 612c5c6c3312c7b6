/** Auth.js 5 in Next.js with database sessions: your auth.ts. */

import NextAuth from "next-auth";
import { cookies, headers } from "next/headers";
import { after } from "next/server";
import { createNotifier } from "@yellowbooks/notifier";
import { notifySignIn } from "@yellowbooks/notifier/authjs";
import { adapter } from "./adapter.ts";
import { providers } from "./providers.ts";

const notifier = createNotifier({
  url: process.env.NOTIFIER_URL,
  key: process.env.NOTIFIER_API_KEY,
  onError: (failure) => console.error("the sign-in was not reported:", failure),
});

export const { handlers, auth, signIn, signOut } = NextAuth({
  adapter,
  providers,
  session: { strategy: "database" },
  events: {
    signIn: notifySignIn(notifier, {
      headers,
      cookies, // the device id
      adapter: true, // user.id is the id of a row, so it is the same at every sign-in
      waitUntil: after, // the response is sent first
      onResult: (result) => console.info("the sign-in was reported:", JSON.stringify(result)),
      secure: process.env.AUTH_URL?.startsWith("https:") ?? true,
    }),
  },
});
