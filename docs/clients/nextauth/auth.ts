// Auth.js 5 with Next.js 15: your auth.ts, with the lines that notify Notifier. (NextAuth 4: nextauth4.ts)

import NextAuth from "next-auth";
import GitHub from "next-auth/providers/github";
import { headers } from "next/headers";
import { after } from "next/server";
import { createNotifier } from "./notifier";

const notifier = createNotifier({
  url: process.env.NOTIFIER_URL!,
  apiKey: process.env.NOTIFIER_API_KEY!,
  trustedProxies: 1,
  defer: after, // the response is sent first; remove this line on older versions
  onError: (error) => console.error(error.message),
});

export const { handlers, auth, signIn, signOut } = NextAuth({
  providers: [GitHub],
  events: {
    async signIn({ user, account }) {
      const sent = await Promise.resolve().then(headers).catch(() => null); // a sign-in never fails for this
      notifier.signedIn({ user, account, headers: sent });
    },
  },
});
