"""`make bench-tasks`: the same tasks on ours and its peers in one run, in turns. Part of `make bench`.

ROUNDS=3 JOBS=1000 (of each kind) PICKUPS=20 RECOVERY=100 (seconds; 0: not measured). ONLY=ours,ox measures some. With
ONLY or other JOBS, the document stays unchanged. The measurements are stored in var/bench/ each time.
"""

import os
import sys
import traceback
from dataclasses import asdict
from typing import Any

from benchmarks import document, machine
from benchmarks.services import Services, services
from benchmarks.stored import store
from benchmarks.tasks import recovery, report
from benchmarks.tasks.contenders import Contender, available, missing, named
from benchmarks.tasks.measuring import Measurement, measure

SHIPPED_JOBS = 1000
ONLY = os.environ.get("ONLY", "")
ROUNDS = int(os.environ.get("ROUNDS", 3))
JOBS = int(os.environ.get("JOBS", SHIPPED_JOBS))
PICKUPS = int(os.environ.get("PICKUPS", 20))
RECOVERY = float(os.environ.get("RECOVERY", 100))
PACKAGES = ("django", "django-q2", "psycopg", "django-ox", "django-tasks-db", "procrastinate", "huey", "celery")


def main() -> None:
    chosen = [named(name) for name in ONLY.split(",")] if ONLY else available()
    with services() as running:
        results: dict[str, Any] = {"machine": machine.describe(running, PACKAGES), "rounds": ROUNDS, "jobs": JOBS}
        measurements: dict[str, list[Measurement]] = {contender.name: [] for contender in chosen}
        for turn in range(ROUNDS):
            for contender in chosen[turn % len(chosen) :] + chosen[: turn % len(chosen)]:
                _measure(contender, running, measurements[contender.name], turn)
        results["measurements"] = {name: [asdict(each) for each in rounds] for name, rounds in measurements.items()}
        recovered = recovery.measure(chosen, running, RECOVERY) if RECOVERY else {}
        results["recovery"] = {name: asdict(each) for name, each in recovered.items()}
        results |= {"limit": RECOVERY, "missing": missing()}
    store("tasks", results)
    print(text := report.render(results))
    if not ONLY and JOBS == SHIPPED_JOBS and RECOVERY:
        document.replace_section("tasks", text)


def _measure(contender: Contender, running: Services, rounds: list[Measurement], turn: int) -> None:
    print(f"round {turn + 1} of {ROUNDS}: {contender.title} ...", end=" ", file=sys.stderr, flush=True)
    try:
        rounds.append(last := measure(contender, running, JOBS, PICKUPS))
    except Exception:  # the others are measured anyway
        traceback.print_exc()
    else:
        pickup = sorted(last.pickups)[len(last.pickups) // 2]
        speed = f"{last.empty:.0f} empty/s, {last.row:.0f} rows/s, {last.cpu:.2f} CPU-ms"
        print(f"{speed}, {pickup:.1f} ms, {last.enqueue:.0f} enqueued/s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
