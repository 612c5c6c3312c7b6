using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "dist/index.js", esModule = embed "dist/index.js"),
    (name = "dist/notifier.js", esModule = embed "dist/notifier.js"),
    (name = "dist/sign-in.js", esModule = embed "dist/sign-in.js"),
    (name = "dist/device.js", esModule = embed "dist/device.js"),
    (name = "dist/events.js", esModule = embed "dist/events.js"),
    (name = "dist/receive.js", esModule = embed "dist/receive.js"),
    (name = "dist/web.js", esModule = embed "dist/web.js"),
  ],
  compatibilityDate = "2024-09-01",
  bindings = [
    (name = "NOTIFIER_URL", fromEnvironment = "NOTIFIER_URL"),
    (name = "NOTIFIER_API_KEY", fromEnvironment = "NOTIFIER_API_KEY"),
    (name = "SECRET", fromEnvironment = "NOTIFIER_EVENTS_SECRET"),
  ],
);
