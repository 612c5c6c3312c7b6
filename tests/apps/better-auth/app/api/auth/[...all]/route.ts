import { toNextJsHandler } from "better-auth/next-js";
import { auth } from "../../../../example/auth.ts";

export const { GET, POST } = toNextJsHandler(auth);
