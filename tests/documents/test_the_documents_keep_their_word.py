"""Every setting, command, status, address, error and check that a document names exists, and every one that exists is
named in a document."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import global_settings
from django.core.management import find_commands, load_command_class
from django.urls import Resolver404, resolve

from accounts.sign_in.event import NoticeStatus
from jobs.cluster.clusters import HEARTBEAT_SECONDS
from jobs.conf import QueueSettings, conf
from jobs.core import errors, job_types, sql
from jobs.core.attempts import JobAttempt
from jobs.core.job import Reason, Status
from jobs.queue.bulk_replay import BulkReplay
from jobs.queue.enqueue import Refused
from notifier import settings as site_settings
from notifier.api.app import api
from tests.support.site import ROOT

OURS = ("notifier", "jobs", "accounts")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(ROOT.glob("d*/**/*.md"))
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
ALL = "\n".join(TEXTS.values())
QUICK = TEXTS["docs/quick-reference.md"]
FOREIGN = {"Q_CLUSTER", "AWS_", "POST", "GET", "DELETE", "SIGTERM", "SIGKILL", "NOTIFY", "LISTEN", "CI", "TEST_ENGINE"}
FOREIGN |= {"FORCE_SCRIPT_NAME", "SCRIPT_NAME", "USE_TZ", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
FOREIGN |= {"CLOCK_MONOTONIC", "NAME_FILE", "SECRET_KEY_FILE"}
DJANGO = ("check", "migrate", "collectstatic", "createsuperuser", "changepassword", "shell", "makemigrations")

each_page = pytest.mark.parametrize("page", TEXTS)


def sources():
    """The text of every Python file of the site itself."""
    return [path.read_text() for app in OURS for path in sorted(Path(ROOT, app).rglob("*.py"))]


def commands():
    """Each of our commands with its parser, those of subcommands as "jobs list"."""
    found = {}
    for app in (*OURS, "notifier.dev"):
        for name in find_commands(str(Path(ROOT, *app.split("."), "management"))):
            parser = load_command_class(app, name).create_parser("manage.py", name)
            found[name] = parser
            for action in parser._actions:
                if isinstance(action.choices, dict):
                    found |= {f"{name} {verb}": sub for verb, sub in action.choices.items()}
    return found


def options(parser):
    django = load_command_class("django.core", "check").create_parser("manage.py", "check")
    return set(parser._option_string_actions) - set(django._option_string_actions) - {"--skip-checks"}


def named(text):
    """The words of a text that are set in code."""
    return set(re.findall(r"`([^`\n]+)`", text))


def words(text):
    return {word for code in named(text) for word in re.findall(r"[\w-]+", code)}


def metrics():
    """Names of metrics in the code, once there are any."""
    return {name for text in sources() if "prometheus" in text for name in re.findall(r'"(notifier_[a-z_]+)"', text)}


@each_page
def test_every_setting_that_is_named_exists(page):
    given = re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", TEXTS[page])
    known = set(site_settings.env._fields) | {name for name in dir(site_settings) if name.isupper()} | FOREIGN
    known |= {name for place in (QueueSettings, global_settings) for name in dir(place) if name.isupper()} | {
        "Q_CLUSTER"
    }
    assert {name for name in given if name not in known and not name.startswith("AWS_")} == set()


def test_every_setting_is_named():
    assert set(site_settings.env._fields) <= words(ALL)


@each_page
def test_every_command_and_option_that_is_named_exists(page):
    known = commands()
    for line in re.findall(r"manage\.py ([^`\n|]+)", TEXTS[page]):
        command, *rest = line.split()
        if command not in known and command not in DJANGO:
            pytest.fail(f"there is no manage.py {command}")
        parser = known.get(" ".join([command, *rest[:1]])) or known.get(command)
        if parser:
            given = {word.rstrip(".,;)") for word in rest if word.startswith("--") and len(word) > 3}
            assert given <= set(parser._option_string_actions), line


def test_every_command_and_option_is_in_the_quick_reference():
    known = commands()
    assert {name for name in known if f"`manage.py {name}" not in QUICK and name != "jobs"} == set()
    assert {option for parser in known.values() for option in options(parser) if f"`{option}`" not in QUICK} == set()


@pytest.mark.parametrize(
    "kind",
    [
        set(Status.values),
        set(Reason.values),
        set(JobAttempt.Outcome.values),
        set(BulkReplay.State.values),
        set(NoticeStatus.values),
        {member.value for member in errors.ErrorClass},
        {kind.__name__ for kind in errors.JobError.__subclasses__()} | {"Unreachable"},
        {kind.__name__ for kind in Refused.__subclasses__()},
        {kind.name for kind in job_types.all_types()},
    ],
    ids=["statuses", "reasons", "outcomes", "bulk", "notices", "classes", "exceptions", "refusals", "types"],
)
def test_everything_of_a_kind_is_in_the_quick_reference(kind):
    assert kind <= words(QUICK)


def test_the_lifecycle_names_every_move_reason_and_class():
    page = TEXTS["docs/job-lifecycle.md"]
    model = ast.parse(Path(ROOT, "jobs/core/job.py").read_text())
    methods = {node.name for node in ast.walk(model) if isinstance(node, ast.FunctionDef)}
    moves = set(
        re.findall(r"^\| `(\w+)` \| .+ \| `(?:enqueued|processing|completed|failed|dlq|discarded)` \|", page, re.M)
    )
    assert moves - {"enqueue"} <= methods
    assert {"claim", "complete", "retry", "bury", "replay", "discard"} <= moves
    assert set(Status.values) | set(Reason.values) | {member.value for member in errors.ErrorClass} <= words(page)


def test_every_check_that_is_named_exists_and_every_one_that_exists_is_named():
    pattern = re.compile(r"\b(?:notifier|jobs|accounts)\.[EWI]\d{3}\b")
    code = {found for text in sources() for found in pattern.findall(text)}
    assert set(pattern.findall(ALL)) == code
    assert code <= set(pattern.findall(QUICK))


@each_page
def test_every_address_that_is_named_leads_somewhere(page):
    for path in re.findall(
        r"(?<!below )`(?:GET |POST )?(/(?:api|admin|accounts|healthz|readyz|metrics)[\w/{}.-]*)[^`]*`", TEXTS[page]
    ):
        try:
            match = resolve(re.sub(r"\{\w+\}", "some-id", path))
        except Resolver404:
            pytest.fail(f"{path} leads nowhere")
        assert "url" not in match.kwargs, f"{path} is not a page of the admin"


def test_every_call_of_the_api_is_in_the_quick_reference():
    calls = {
        f"`{method.upper()} {path}`"
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert {call for call in calls if call not in QUICK} == set()


def test_every_metric_is_named_and_every_one_that_is_named_exists():
    documented = {name for name in words(ALL) if name.startswith("notifier_")}
    grown = {name + end for name in metrics() for end in ("", "_total", "_bucket", "_count", "_sum")}
    assert documented - grown == set()
    assert {name for name in metrics() if not documented & {name, f"{name}_total"}} == set()


def test_the_run_book_names_every_alert():
    alerts = {
        name
        for rules in Path(ROOT, "deploy").glob("prometheus/*.y*ml")
        for name in re.findall(r"^ *- alert: (\w+)$", rules.read_text(), re.MULTILINE)
    }
    assert alerts <= words(TEXTS["docs/operations.md"])


def test_every_log_event_of_the_run_book_is_in_the_code():
    first_column = re.findall(
        r"^\| `([a-z]+ [^`]+)`(?:,| in the log|) ?.*? \|", TEXTS["docs/operations.md"], re.MULTILINE
    )
    events = {event for event in first_column if not event.startswith(("jobs ", "manage.py "))}
    assert len(events) >= 5
    code = "\n".join(sources())
    assert {event for event in events if f'"{event}' not in code} == set()


def test_the_times_of_the_quick_reference_are_the_times(settings):
    backoff, waits = settings.JOB_BACKOFF_SECONDS, settings.JOB_MAX_ATTEMPTS - 1
    at = [int(sum(backoff * 2**done for done in range(made))) for made in range(waits + 1)]
    assert re.findall(r"^    at +(.+) s ", QUICK, re.MULTILINE)[0].split() == [str(second) for second in at]
    lease, limit = settings.JOB_LEASE_SECONDS, conf.JOB_TIMEOUT_SECONDS
    timing = f"{lease} s (`JOB_LEASE_SECONDS`); its time limit {limit} s, its message is visible again after"
    assert f"{timing} {settings.Q_CLUSTER['retry']} s" in QUICK
    assert f"every {HEARTBEAT_SECONDS} s while there is something to do, on one host" in QUICK


@pytest.mark.django_db
def test_the_guide_to_scaling_says_what_each_way_to_commit_may_lose():
    (ways,) = sql.fetch_one("SELECT enumvals FROM pg_settings WHERE name = 'synchronous_commit'", [])
    table = TEXTS["docs/scaling.md"].partition("| `synchronous_commit` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?) \| .+ \| .+ \| .+ \|$", table, re.MULTILINE)
    assert set(ways) - named("\n".join(rows)) == set()
