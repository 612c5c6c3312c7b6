"""clients/typescript: built, tested, packed and installed as its users install it, and run against the real site."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.support.machine import eventually
from tests.support.npm import QUIET, copied_client, node, npm
from tests.support.site import Site

pytestmark = pytest.mark.timeout(600)  # npm and tsc compute; a busy machine needs minutes
NAMES = {
    "": ["createNotifier", "verifyEvent", "handleEvents", "InvalidEvent", "stableUserId", "clientAddress", "deviceId"],
    "/authjs": ["notifySignIn", "describeSignIn", "nodeCookies"],
    "/better-auth": ["signInNotices"],
    "/express": ["describeSignIn", "handleEvents", "nodeCookies"],
}
CONSUMER = """
import { createNotifier, verifyEvent, InvalidEvent, type NotifierEvent, type Result } from "@yellowbooks/notifier";
import { notifySignIn } from "@yellowbooks/notifier/authjs";
import { signInNotices } from "@yellowbooks/notifier/better-auth";
import { handleEvents } from "@yellowbooks/notifier/express";

const notifier = createNotifier({ url: "https://notifier.example.mn", key: "nk_secret" });

export async function describe(result: Result): Promise<string> {
  switch (result.outcome) {
    case "accepted": return result.newDevice === undefined ? "not known" : result.signals.join();
    case "duplicate": return result.status;
    case "refused": return `${result.httpStatus} ${result.problem} ${result.errors[0]?.field}`;
    case "unreachable": return result.reason;
  }
}

export function userOf(event: NotifierEvent): string | null {
  if (event.type === "sign_in.disputed") return event.data.signIn.newDevice ? event.data.userId : null;
  // @ts-expect-error: a ping has no user
  if (event.type === "ping") return event.data.userId.length;
  return event.data.jobId;
}

type Event = (message: { user: { id?: string; email?: string | null } }) => Promise<void>;
export const signIn: Event = notifySignIn(notifier);
export const plugin = signInNotices({ notifier });
export const events = handleEvents({ secret: ["whsec_a"], onDisputed: ({ data }) => data.disputedAt });
export const reason = (error: unknown): string => (error instanceof InvalidEvent ? error.reason : "");
// @ts-expect-error: a sign-in has a user and an address
void notifier.notify({ userId: "42" });
void verifyEvent(new Uint8Array(), new Headers(), "whsec_a").then(userOf);
"""
REPORT = """
import { createNotifier } from "@yellowbooks/notifier";
const { URL_OF_NOTIFIER: url, KEY: key } = process.env;
const signIn = {
  userId: "github:77", email: "deliver@example.mn", name: "Бат-Эрдэнэ", provider: "github", ipAddress: "203.0.113.7",
  userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
  jobId: "signin-1", locale: "en", timezone: "Asia/Ulaanbaatar",
};
const { notify } = createNotifier({ url, key });
const results = [await notify(signIn), await notify(signIn), await notify({ ...signIn, userId: "github:78" })];
results.push(await createNotifier({ url, key: "nk_wrong" }).notify({ ...signIn, jobId: "signin-2" }));
console.log(JSON.stringify(results));
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    """A copy of the client that is built and packed."""
    folder = copied_client(tmp_path_factory.mktemp("client"))
    npm(folder, "ci", *QUIET)
    npm(folder, "run", "build")
    npm(folder, "pack", "--silent")
    return folder


@pytest.fixture(scope="module")
def consumer(client, tmp_path_factory) -> Path:
    """An empty project that has installed the package, and nothing else."""
    folder = tmp_path_factory.mktemp("consumer")
    folder.joinpath("package.json").write_text('{"private": true}')
    npm(folder, "install", *QUIET, "--offline", str(next(client.glob("*.tgz"))))
    assert [path.name for path in folder.glob("node_modules/[!.]*")] == ["@yellowbooks"]
    return folder


def test_its_own_tests_pass(client):
    printed = npm(client, "test")
    assert "fail 0" in printed
    assert "skipped 0" in printed


def test_the_package_has_what_its_users_need_and_nothing_else(client):
    with tarfile.open(next(client.glob("yellowbooks-notifier-*.tgz"))) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
    described = json.loads(client.joinpath("package.json").read_text())
    targets = json.dumps(described["exports"])
    assert {name for name in names if not name.startswith("dist/")} == {"package.json", "README.md", "LICENSE"}
    assert {f"dist/{kind}/{name}" for kind in ("esm", "cjs") for name in ("index.js", "express.d.ts")} <= names
    assert all(f'"./{name}"' in targets for name in ("dist/esm/better-auth.js", "dist/cjs/authjs.d.ts"))
    assert "dependencies" not in described


@pytest.mark.parametrize("kind", ["import", "require"])
def test_every_entry_point_can_be_loaded(consumer, kind):
    load = "await import(name)" if kind == "import" else "require(name)"
    names = [f"@yellowbooks/notifier{entry}" for entry in NAMES]
    script = f"(async () => {{ for (const name of {names}) console.log(JSON.stringify(Object.keys({load}))) }})()"
    loaded = [json.loads(line) for line in node(consumer, "-e", script).splitlines()]
    for expected, found in zip(NAMES.values(), loaded, strict=True):
        assert set(expected) <= set(found)


@pytest.mark.parametrize("resolution", ["bundler", "node16"])
def test_its_types_fit_into_a_strict_project(client, consumer, resolution):
    for suffix in ("mts", "cts"):
        consumer.joinpath(f"consumer.{suffix}").write_text(CONSUMER)
    options = {"strict": True, "noEmit": True, "exactOptionalPropertyTypes": True, "types": [], "target": "ES2022"}
    options |= {"module": "ESNext" if resolution == "bundler" else "Node16", "moduleResolution": resolution}
    config = consumer / f"tsconfig.{resolution}.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": ["consumer.mts", "consumer.cts"]}))
    assert node(consumer, str(client / "node_modules/typescript/bin/tsc"), "-p", str(config)) == ""


def test_the_email_of_a_reported_sign_in_is_sent_once(consumer):
    with Site() as site:
        site.start("mail", "web", "worker")
        key = site.manage("create_api_key", "shop", "--scope", "enqueue").split()[-1]
        printed = node(consumer, "--input-type=module", "-e", REPORT, URL_OF_NOTIFIER=site.url, KEY=key)
        assert key not in printed
        first, repeated, of_another, with_wrong_key = json.loads(printed)
        assert (first["outcome"], first["status"]) == ("accepted", "enqueued")
        assert repeated["outcome"] == "duplicate"
        assert (of_another["outcome"], of_another["problem"]) == ("refused", "job-id-of-another-user")
        assert (with_wrong_key["outcome"], with_wrong_key["problem"]) == ("refused", "unauthenticated")
        (mail,) = eventually(site.mails)
        text = mail.get_body(("plain",)).get_content()
        assert all(word in text for word in ("Chrome", "Windows", "GitHub", "203.0.113.7"))
