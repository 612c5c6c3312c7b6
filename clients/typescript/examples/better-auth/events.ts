/** The endpoint for events. "This wasn't me" ends all sessions of the user. */

import { handleEvents } from "@yellowbooks/notifier";
import { auth } from "./auth.ts";

export const POST = handleEvents({
  secret: process.env.NOTIFIER_EVENTS_SECRET!,
  async onDisputed(event) {
    const { internalAdapter } = await auth.$context;
    await internalAdapter.deleteUserSessions(event.data.userId); // deleteSessions(userId) before better-auth 1.7
  },
  onError: (error) => console.error("an event was refused:", error),
});
