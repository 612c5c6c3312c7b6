/** Reports sign-ins to Notifier, and verifies the events that it sends back. */

export { createNotifier } from "./notifier.js";
export type { Accepted, Duplicate, Notifier, NotifierOptions, Refused, Result, Signal, Unreachable } from "./notifier.js";
export { clientAddress, stableUserId } from "./sign-in.js";
export type { Account, SignIn, User } from "./sign-in.js";
export { deviceId, headerCookies, nodeCookies } from "./device.js";
export type { CookieOptions, CookieStore } from "./device.js";
export { InvalidEvent, verifyEvent } from "./events.js";
export type {
  EventOfType,
  InvalidEventReason,
  NoticeDelivered,
  NoticeFailed,
  NoticeSuppressed,
  NotifierEvent,
  Ping,
  SignInDisputed,
  VerifyOptions,
} from "./events.js";
export { handleEvents } from "./receive.js";
export type { EventHandlers, SeenEvents } from "./receive.js";
export type { HeadersLike } from "./web.js";
