"""`make bench-api`: sign-ins posted by one key to gunicorn as shipped, and two floors. Part of `make bench`.

ROUNDS=3 rounds of SECONDS=8 with each of CONNECTIONS=8,32,128. ONLY=ours,row,task measures some of the programs. It
writes a table to docs/performance.md; with other numbers the document stays unchanged. No worker runs: the jobs wait.
"""

import json
import os
import statistics
import subprocess
import sys
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from benchmarks import document, machine
from benchmarks.contenders import MANAGE, OURS, ROOT, Contender, named, script
from benchmarks.processes import cpu_seconds
from benchmarks.report import number, quantile, table
from benchmarks.services import Services, eventually, services
from benchmarks.stored import store
from benchmarks.testbed import Testbed
from tests.support.ports import free_port

SHIPPED = {"ROUNDS": "3", "SECONDS": "8", "CONNECTIONS": "8,32,128", "ONLY": "ours,row,task"}
CHOSEN = {name: os.environ.get(name) or value for name, value in SHIPPED.items()}
ROUNDS, SECONDS = int(CHOSEN["ROUNDS"]), CHOSEN["SECONDS"]
CONNECTIONS = [int(count) for count in CHOSEN["CONNECTIONS"].split(",")]
GOALS = {8: (600, 60), 32: (600, 120), 128: (550, 400)}  # connections: posts a second at least, p99 in ms at most
UNLIMITED = {"API_RATE": "100000000/m", "TRUSTED_PROXIES": "127.0.0.1"}


@dataclass(frozen=True)
class Program:
    """A site that is measured."""

    title: str
    contender: Contender
    path: str
    settings: dict[str, str]


FLOORS = {"BENCH_URLS": "benchmarks.api_floors", **UNLIMITED}
PROGRAMS = {
    "ours": Program("Notifier", OURS, "/api/jobs/signin-notification", UNLIMITED),
    "row": Program("a bare view that inserts one row", named("stock"), "/row", FLOORS),
    "task": Program("a bare view with stock `async_task`", named("stock"), "/task", FLOORS),
}
Results = dict[tuple[str, int], list[dict[str, Any]]]


def main() -> None:
    results: Results = {}
    with services() as running:
        heading = [machine.describe(running), f"Medians of {ROUNDS} rounds of {SECONDS} s, one key."]
        for turn in range(ROUNDS):
            for name in CHOSEN["ONLY"].split(","):
                _measure(name, running, results, turn)
    store("api", {f"{name} {connections}": _medians(rounds) for (name, connections), rounds in results.items()})
    text = "\n\n".join([*heading, _render(results)])
    print(text)
    if CHOSEN == SHIPPED:
        document.replace_section("api", text)


def _measure(name: str, running: Services, results: Results, turn: int) -> None:
    """Start a site on an empty database, and post with each number of connections."""
    program, port = PROGRAMS[name], free_port()
    settings = {**program.settings, "PORT": str(port)}
    with closing(Testbed(program.contender, running, **settings)) as testbed:
        testbed.fresh()
        key = _key(testbed) if name == "ours" else "-"
        with testbed.workers((script("gunicorn", "notifier.wsgi"),)) as gunicorn:
            eventually(lambda: _is_up(port))
            target = [str(port), program.path, key]
            _load(testbed, [*target, "8", "1", f"{name}{turn}-first"])  # imports, and what the first requests compile
            for connections in CONNECTIONS:
                load = [*target, str(connections), SECONDS, f"{name}{turn}-{connections}"]
                result = _post(testbed, load, gunicorn.pids + running.pids)
                results.setdefault((name, connections), []).append(result)
                line = ", ".join(f"{column} {value:.4g}" for column, value in result.items())
                print(f"round {turn + 1}: {program.title}, {connections}: {line}", file=sys.stderr, flush=True)


def _key(testbed: Testbed) -> str:
    command = [*MANAGE, "create_api_key", "bench", "--scope", "enqueue"]
    done = subprocess.run(command, cwd=ROOT, env=testbed.environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False


def _load(testbed: Testbed, arguments: list[str]) -> dict[str, Any]:
    """Run benchmarks/api_load.py and return its result."""
    command = [sys.executable, "-m", "benchmarks.api_load", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=testbed.environment, check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _post(testbed: Testbed, load: list[str], pids: list[int]) -> dict[str, float]:
    """Return the measurements of a load; pids: the servers whose CPU time counts. Raises RuntimeError on a refusal."""
    before = cpu_seconds(pids)
    result = _load(testbed, load)
    cpu = cpu_seconds(pids) - before
    if result["others"]:
        raise RuntimeError(f"refused, by status: {result['others']}\n{testbed.log.read_text()[-3000:]}")
    took = sorted(result["took"])
    times = {f"p{each}": quantile(took, each) for each in (50, 95, 99)}
    return {"rate": len(took) / result["seconds"], **times, "cpu": cpu * 1000 / result["posts"]}


def _render(results: Results) -> str:
    rows = []
    for (name, connections), rounds in results.items():
        medians = _medians(rounds)
        verdict = _verdict(medians, *GOALS[connections]) if name == "ours" and connections in GOALS else ""
        rows.append([PROGRAMS[name].title, str(connections), *map(number, medians.values()), verdict])
    return table(["", "connections", "posts/s", "p50 ms", "p95", "p99", "CPU-ms a post", "goal"], rows)


def _medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    return {each: statistics.median(one[each] for one in rounds) for each in rounds[0]}


def _verdict(medians: dict[str, float], rate: int, p99: int) -> str:
    reached = "reached" if medians["rate"] >= rate and medians["p99"] <= p99 else "missed"
    return f"{rate}, p99 {p99} ms: {reached}"


if __name__ == "__main__":
    main()
