/** Work that goes on after the response, and never breaks it. */

import type { Notifier, Result } from "./notifier.js";
import type { SignIn } from "./sign-in.js";

export interface BackgroundOptions {
  /** Keeps the process alive until the work is done: `after` of next/server, or `waitUntil` of your platform. */
  waitUntil?: ((work: Promise<unknown>) => unknown) | undefined;
  /** Called with the result, for example to ask for a second factor on a new device. */
  onResult?: ((result: Result, signIn: SignIn) => unknown) | undefined;
}

/** Send a sign-in in the background. */
export function notifyLater(notifier: Notifier, signIn: SignIn, { waitUntil, onResult }: BackgroundOptions): void {
  const work = notifier.notify(signIn).then((result) => onResult?.(result, signIn)).catch(() => undefined);
  try {
    waitUntil?.(work);
  } catch {
    // outside of a request, `after` throws; the work goes on without it
  }
}

/** Return what `read` returns; undefined when it fails, because a sign-in never fails for this. */
export async function guarded<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
