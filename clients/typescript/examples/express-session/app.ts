/** Express with express-session: reports sign-ins, and ends the sessions of a user who says "this wasn't me". */

import express from "express";
import session, { type SessionData, type Store } from "express-session";
import { createNotifier } from "@yellowbooks/notifier";
import { describeSignIn, handleEvents } from "@yellowbooks/notifier/express";

declare module "express-session" {
  interface SessionData {
    userId: string;
  }
}

export const notifier = createNotifier({ url: process.env.NOTIFIER_URL, key: process.env.NOTIFIER_API_KEY });
const store: Store = new session.MemoryStore(); // connect-redis and connect-pg-simple have the same methods
const users = new Map([["bat@example.mn", { id: "42", name: "Бат", password: "correct" }]]);

/** End all sessions of a user. With many sessions, keep a list of each user's and read that instead of `all`. */
async function endSessions(userId: string): Promise<void> {
  const sessions = await new Promise<{ [id: string]: SessionData }>((resolve, reject) => {
    store.all!((error, all) => (error ? reject(error) : resolve({ ...(all as { [id: string]: SessionData }) })));
  });
  for (const [id, { userId: owner }] of Object.entries(sessions)) {
    if (owner === userId) await new Promise((resolve) => store.destroy(id, resolve));
  }
}

export const app = express();

// Before express.json(): the signature covers the bytes of the body.
app.post(
  "/notifier/events",
  handleEvents({
    secret: process.env.NOTIFIER_EVENTS_SECRET!,
    onDisputed: (event) => endSessions(event.data.userId),
    onError: (error) => console.error("an event was refused:", error),
  }),
);

const secure = process.env.NODE_ENV === "production";
app.set("trust proxy", 1); // the number of your own proxies: request.ip is then the client's
app.use(express.json());
app.use(session({ secret: process.env.SESSION_SECRET!, store, resave: false, saveUninitialized: false, cookie: { secure } }));

app.post("/sign-in", async (request, response) => {
  const { email, password } = request.body as { email: string; password: string };
  const user = users.get(email);
  if (!user || user.password !== password) return void response.sendStatus(401);
  await new Promise((resolve) => request.session.regenerate(resolve));
  request.session.userId = user.id;
  const signIn = await describeSignIn(request, response, { userId: user.id, email, name: user.name }, { secure });
  void notifier.notify(signIn); // or wait for it, and ask for a second factor when `newDevice` is true
  response.sendStatus(204);
});

app.get("/me", (request, response) => {
  response.status(request.session.userId ? 200 : 401).json({ userId: request.session.userId ?? null });
});
