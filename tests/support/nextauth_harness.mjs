// Runs the Auth.js client as a site would: node nextauth_harness.mjs CLIENT CASE. Prints one line of JSON.
const [client, name] = process.argv.slice(2);
const { addressOf, createNotifier, describe } = await import(client);

const errors = [];
const options = {
  url: process.env.NOTIFIER_URL,
  apiKey: process.env.NOTIFIER_API_KEY,
  backoff: 20,
  onError: (error) => errors.push(error.message),
};
const user = { id: "42", email: process.env.EMAIL, name: "Бат-Эрдэнэ" };
const headers = new Headers({
  "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
  "x-forwarded-for": "198.51.100.1, 203.0.113.7",
});
const signIn = { user, account: { provider: "github" }, headers };

const cases = {
  async deliver() {
    return createNotifier({ ...options, locale: "en", timezone: "Asia/Ulaanbaatar" }).deliver(signIn);
  },
  async again() {
    return createNotifier(options).deliver(signIn);
  },
  async background() {
    const steps = [];
    const work = new Promise((resolve) => {
      const defer = (later) => resolve(later().then(() => steps.push("handed over")));
      const returned = createNotifier({ ...options, defer }).signedIn(signIn);
      steps.push(`returned ${returned}`);
    });
    await work;
    return steps;
  },
  async hostile() {
    const broken = { get: (header) => (header === "user-agent" ? "\ud800\u0000\r\n" + "x".repeat(50000) : "<b>, ::1%<b>") };
    const strange = { id: 42, email: process.env.EMAIL, name: "\udfff\u0000" + "😀".repeat(500) };
    return createNotifier(options).deliver({ user: strange, account: { provider: "credentials" }, headers: broken });
  },
  async unreachable() {
    const notifier = createNotifier({ ...options, tries: 2, timeout: 300 });
    notifier.signedIn({ user: null });
    return [await notifier.deliver(signIn), await notifier.deliver({ user: { email: null } }), errors.length];
  },
  async ids() {
    const id = (account, id = "random-1") => describe({ user: { ...user, id }, account }, options).userId;
    return [
      id({ provider: "github", providerAccountId: "77" }), id({ provider: "github", providerAccountId: "77" }, "random-2"),
      id({ provider: "credentials", providerAccountId: "random-1" }, "42"), id(null, "42"), id({ provider: "github" }, "42"),
    ];
  },
  async addresses() {
    const from = (forwarded, proxies, remote) => addressOf(new Headers({ "x-forwarded-for": forwarded }), proxies, remote);
    return [
      from("1.1.1.1, 2.2.2.2", 1), from("1.1.1.1, 2.2.2.2", 2), from("1.1.1.1", 0, "3.3.3.3"), from("2001:db8::1", 1),
      from("[2001:db8::1]:443", 1), from("2.2.2.2:8080", 1), from("unknown", 1), from("999.1.1.1", 1), from("", 1, "fe80::1%eth0"),
      addressOf(null, 1, null), addressOf(null, 1, "::ffff:4.4.4.4"),
    ];
  },
};
console.log(JSON.stringify({ result: await cases[name](), errors }));
