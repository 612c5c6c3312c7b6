/**
 * A database of Auth.js in the memory of one process, so that the example runs without one.
 *
 * In your site this is your own adapter, and `deleteSessionsOf` one statement. With Prisma:
 * `prisma.session.deleteMany({ where: { userId } })`, with Drizzle: `db.delete(sessions).where(eq(sessions.userId, userId))`.
 */

import type { Adapter, AdapterAccount, AdapterSession, AdapterUser } from "@auth/core/adapters";

interface Tables {
  users: Map<string, AdapterUser>;
  accounts: AdapterAccount[];
  sessions: Map<string, AdapterSession>;
}

// Next.js may load a module once for each route; all of them share this object.
const shared = globalThis as { authjsTables?: Tables };
const tables: Tables = (shared.authjsTables ??= { users: new Map(), accounts: [], sessions: new Map() });

/** End all sessions of a user. Auth.js's own `deleteSession` ends one, whose token must be known. */
export async function deleteSessionsOf(userId: string): Promise<void> {
  for (const [token, session] of tables.sessions) {
    if (session.userId === userId) tables.sessions.delete(token);
  }
}

export const adapter: Adapter = {
  async createUser(user) {
    tables.users.set(user.id, user);
    return user;
  },
  async getUser(id) {
    return tables.users.get(id) ?? null;
  },
  async getUserByEmail(email) {
    return [...tables.users.values()].find((user) => user.email === email) ?? null;
  },
  async getUserByAccount({ provider, providerAccountId }) {
    const account = tables.accounts.find((each) => each.provider === provider && each.providerAccountId === providerAccountId);
    return account ? (tables.users.get(account.userId) ?? null) : null;
  },
  async updateUser(user) {
    const updated = { ...tables.users.get(user.id)!, ...user };
    tables.users.set(user.id, updated);
    return updated;
  },
  async linkAccount(account) {
    tables.accounts.push(account);
  },
  async createSession(session) {
    tables.sessions.set(session.sessionToken, session);
    return session;
  },
  async getSessionAndUser(token) {
    const session = tables.sessions.get(token);
    const user = session && tables.users.get(session.userId);
    return session && user ? { session, user } : null;
  },
  async updateSession(session) {
    const updated = { ...tables.sessions.get(session.sessionToken)!, ...session };
    tables.sessions.set(session.sessionToken, updated);
    return updated;
  },
  async deleteSession(token) {
    tables.sessions.delete(token);
  },
};
