import { auth } from "../example/auth.ts";

export default async function Page() {
  const session = await auth();
  return <p>{session?.user?.email ?? "signed out"}</p>;
}
