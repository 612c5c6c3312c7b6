// NextAuth 4: pages/api/auth/[...nextauth].ts, with the lines that notify Notifier. The request is available here.

import type { NextApiRequest, NextApiResponse } from "next";
import NextAuth from "next-auth";
import GitHub from "next-auth/providers/github";
import { createNotifier } from "./notifier";

const notifier = createNotifier({
  url: process.env.NOTIFIER_URL!,
  apiKey: process.env.NOTIFIER_API_KEY!,
  trustedProxies: 1,
  onError: (error) => console.error(error.message),
});

export default function handler(request: NextApiRequest, response: NextApiResponse) {
  const headers = { get: (name: string) => request.headers[name]?.toString() ?? null };
  const remoteAddress = request.socket.remoteAddress;
  return NextAuth(request, response, {
    providers: [GitHub({ clientId: process.env.GITHUB_ID!, clientSecret: process.env.GITHUB_SECRET! })],
    events: {
      async signIn({ user, account }) {
        notifier.signedIn({ user, account, headers, remoteAddress });
      },
    },
  });
}
