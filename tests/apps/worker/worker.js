// Reports a sign-in for each POST to /sign-in, and takes events everywhere else.

import { clientAddress, createNotifier, deviceId, handleEvents, headerCookies } from "./dist/index.js";

export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname !== "/sign-in") return handleEvents({ secret: env.SECRET })(request);
    const { notify } = createNotifier({ url: env.NOTIFIER_URL, key: env.NOTIFIER_API_KEY });
    const headers = new Headers();
    const result = await notify({
      userId: "worker-1",
      email: "worker@example.mn",
      ipAddress: clientAddress(request.headers),
      userAgent: request.headers.get("user-agent"),
      deviceId: await deviceId(headerCookies(request.headers, headers)),
    });
    return Response.json(result, { headers });
  },
};
