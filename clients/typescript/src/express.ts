/** Express, and any server with Node.js's requests: the sign-in of a request, and the endpoint for events. */

import { guarded } from "./background.js";
import { deviceId, nodeCookies, type NodeResponse } from "./device.js";
import { LONGEST_EVENT, receive, type EventHandlers } from "./receive.js";
import type { SignIn } from "./sign-in.js";
import { concatenate, header, type HeadersLike } from "./web.js";

export { nodeCookies } from "./device.js";

export interface ExpressRequest {
  headers: HeadersLike;
  /** Express's own, which follows `app.set("trust proxy", …)`. */
  ip?: string | undefined;
  socket?: { remoteAddress?: string | undefined } | undefined;
}

/**
 * Return the sign-in of a request, and set the device cookie: call it before the response is sent.
 *
 * user: userId and email, and whatever else you know. secure: false allows the cookie without https, for development.
 */
export async function describeSignIn(
  request: ExpressRequest,
  response: NodeResponse,
  user: SignIn,
  { secure }: { secure?: boolean | undefined } = {},
): Promise<SignIn> {
  return {
    ipAddress: request.ip ?? request.socket?.remoteAddress,
    userAgent: header(request.headers, "user-agent"),
    deviceId: await guarded(() => deviceId(nodeCookies(request, response), { secure })),
    ...user,
  };
}

/** A request whose body is still to be read, or was read by `express.raw()`. */
export interface EventRequest extends AsyncIterable<unknown> {
  method?: string | undefined;
  headers: HeadersLike;
  body?: unknown;
}

export interface EventResponse {
  writeHead(status: number, headers: Record<string, string>): { end(text: string): unknown };
}

/** Return a handler of events. Mount it before `express.json()`, which would take the bytes that are signed. */
export function handleEvents(handlers: EventHandlers): (request: EventRequest, response: EventResponse) => Promise<void> {
  return async (request, response) => {
    const { status, text } = await receive(request.method ?? "", request.headers, () => readBody(request), handlers);
    response.writeHead(status, { "content-type": "text/plain" }).end(text);
  };
}

/** Return the bytes of the body; null when there are too many. Throws TypeError when another middleware parsed it. */
async function readBody(request: EventRequest): Promise<Uint8Array | null> {
  const read = request.body;
  if (read instanceof Uint8Array) return read.byteLength > LONGEST_EVENT ? null : read;
  if (read !== undefined) throw new TypeError("the body was parsed: mount handleEvents before express.json()");
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = chunk as Uint8Array;
    size += bytes.byteLength;
    if (size > LONGEST_EVENT) return null;
    chunks.push(bytes);
  }
  return concatenate(chunks, size);
}
