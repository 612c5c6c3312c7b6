export { POST } from "../../../example/events.ts";
