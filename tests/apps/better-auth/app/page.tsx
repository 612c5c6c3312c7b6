import { headers } from "next/headers";
import { auth } from "../example/auth.ts";

export default async function Page() {
  const session = await auth.api.getSession({ headers: await headers() });
  return <p>{session?.user.email ?? "signed out"}</p>;
}
