/** The endpoint for events: app/api/notifier/route.ts of Next.js. "This wasn't me" ends all sessions of the user. */

import { handleEvents } from "@yellowbooks/notifier";
import { deleteSessionsOf } from "./adapter.ts";

export const POST = handleEvents({
  secret: process.env.NOTIFIER_EVENTS_SECRET!,
  onDisputed: (event) => deleteSessionsOf(event.data.userId),
  onError: (error) => console.error("an event was refused:", error),
});
