import { handleEvents } from "@yellowbooks/notifier";

export const runtime = "edge";
export const POST = handleEvents({ secret: process.env.NOTIFIER_EVENTS_SECRET! });
