import { handlers } from "../../../../example/auth.ts";

export const { GET, POST } = handlers;
