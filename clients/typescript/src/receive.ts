/** The endpoint that receives events: verification, deduplication, and the response that Notifier expects. */

import { InvalidEvent, verifyEvent, type EventOfType, type NotifierEvent } from "./events.js";
import { header, readAtMost, type HeadersLike } from "./web.js";

type Awaitable<T> = T | Promise<T>;
type Handler<T extends NotifierEvent["type"]> = (event: EventOfType<T>) => Awaitable<unknown>;

/** The ids of events that were handled: a `Set`, or two queries of your database. */
export interface SeenEvents {
  has(id: string): Awaitable<boolean>;
  add(id: string): unknown;
}

export interface EventHandlers {
  /** The `whsec_` secret of the endpoint, or several while it is being rotated. */
  secret: string | readonly string[];
  /** End the user's sessions. When it throws, the response is a 500, and Notifier tries again. */
  onDisputed?: Handler<"sign_in.disputed"> | undefined;
  onDelivered?: Handler<"notice.delivered"> | undefined;
  onFailed?: Handler<"notice.failed"> | undefined;
  onSuppressed?: Handler<"notice.suppressed"> | undefined;
  onPing?: Handler<"ping"> | undefined;
  /** Without it, an event that is sent twice is handled twice. An id is added after its event was handled. */
  seen?: SeenEvents | undefined;
  /** Called with InvalidEvent, with the error of a handler, and with TypeError for an invalid secret. */
  onError?: ((error: unknown) => void) | undefined;
}

export interface Outcome {
  status: number;
  text: string;
}

/** Bytes of the longest body that is read. */
export const LONGEST_EVENT = 64 * 1024;

/** Return a handler of fetch requests: a route handler of Next.js, a Worker. */
export function handleEvents(handlers: EventHandlers): (request: Request) => Promise<Response> {
  return async (request) => {
    const read = () => readAtMost(request.body, LONGEST_EVENT);
    const { status, text } = await receive(request.method, request.headers, read, handlers);
    return new Response(status === 204 ? null : text, { status, headers: { "content-type": "text/plain" } });
  };
}

/** Handle one request and return the response to it. read: returns the body; null when it is too long. */
export async function receive(
  method: string,
  headers: HeadersLike,
  read: () => Promise<Uint8Array | null>,
  handlers: EventHandlers,
): Promise<Outcome> {
  if (method !== "POST") return { status: 405, text: "events are sent with POST" };
  try {
    const body = Number(header(headers, "content-length")) > LONGEST_EVENT ? null : await read();
    if (body === null) return { status: 413, text: "an event has at most 64 KiB" };
    const event = await verifyEvent(body, headers, handlers.secret);
    if (!(await handlers.seen?.has(event.id))) {
      await dispatch(event, handlers);
      await handlers.seen?.add(event.id);
    }
    return { status: 204, text: "" };
  } catch (error) {
    return outcome(error, handlers);
  }
}

/** Return the response to a failure. An event of a newer Notifier is taken and ignored. */
function outcome(error: unknown, handlers: EventHandlers): Outcome {
  if (error instanceof InvalidEvent && error.reason === "unknown-type") return { status: 204, text: "" };
  try {
    handlers.onError?.(error);
  } catch {
    // the response says that it failed
  }
  if (!(error instanceof InvalidEvent)) return { status: 500, text: "the event could not be handled" };
  return { status: error.reason === "invalid-body" ? 400 : 401, text: error.reason };
}

function dispatch(event: NotifierEvent, handlers: EventHandlers): Awaitable<unknown> {
  switch (event.type) {
    case "sign_in.disputed":
      return handlers.onDisputed?.(event);
    case "notice.delivered":
      return handlers.onDelivered?.(event);
    case "notice.failed":
      return handlers.onFailed?.(event);
    case "notice.suppressed":
      return handlers.onSuppressed?.(event);
    case "ping":
      return handlers.onPing?.(event);
  }
}
