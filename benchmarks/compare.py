"""`make bench`: ours and its peers in one run, in turns. It writes "The comparison" in docs/performance.md.

ROUNDS=3 JOBS=1000 N=200 (sign-ins). ONLY=ours,stock measures some. QUICK=1 is one small round, to see that everything
works. With either, the document stays unchanged. The measurements are stored in var/bench/ each time.
"""

import os
import subprocess
import sys
import traceback
from dataclasses import asdict
from typing import Any

from benchmarks import chart, document, machine, report
from benchmarks.contenders import ALL, OURS, ROOT, Contender, named
from benchmarks.floors import bare_ledger, bare_smtp
from benchmarks.measuring import Measurement, Sizes, measure
from benchmarks.services import Services, services
from benchmarks.stored import store
from benchmarks.testbed import Testbed

QUICK, ONLY = bool(os.environ.get("QUICK")), os.environ.get("ONLY", "")
ROUNDS = int(os.environ.get("ROUNDS", 1 if QUICK else 3))
JOBS = int(os.environ.get("JOBS", 100 if QUICK else 1000))
SIGN_INS = os.environ.get("N", "20" if QUICK else "200")
SIZES = Sizes(JOBS, 8, 5.0) if QUICK else Sizes(JOBS, 40, 30.0)
CHART = "![Four bars for each queue: emails a second at 0 and 50 ms, CPU, pickup](images/performance.png)"


def main() -> None:
    chosen = [named(name) for name in ONLY.split(",")] if ONLY else list(ALL)
    with services() as running:
        results: dict[str, Any] = {"machine": machine.describe(running), "rounds": ROUNDS, "jobs": JOBS}
        results["sign_in"] = sign_in(running)
        measurements: dict[str, list[Measurement]] = {contender.name: [] for contender in chosen}
        floors: dict[str, list[float]] = {"smtp": [], "ledger": []}
        for turn in range(ROUNDS):
            floors["smtp"].append(bare_smtp(running, 3 * JOBS))
            floors["ledger"].append(bare_ledger(running, JOBS))
            for contender in chosen[turn % len(chosen) :] + chosen[: turn % len(chosen)]:
                _measure(contender, running, measurements[contender.name], turn)
        results["measurements"] = {name: [asdict(each) for each in rounds] for name, rounds in measurements.items()}
        results["floors"] = floors
    store("compare", results)
    print(text := report.render(results))
    if not QUICK and not ONLY:
        document.replace_section("bench", f"{CHART}\n\n{text}")
        chart.draw(results)


def _measure(contender: Contender, running: Services, rounds: list[Measurement], turn: int) -> None:
    print(f"round {turn + 1} of {ROUNDS}: {contender.title} ...", end=" ", file=sys.stderr, flush=True)
    try:
        rounds.append(measure(contender, running, SIZES, first=turn == 0))
    except Exception:  # the others are measured anyway
        traceback.print_exc()
    else:
        last = rounds[-1]
        summary = f"{last.rate:.0f} emails/s, {last.rate_slow:.0f} at 50 ms, {last.cpu:.1f} CPU-ms"
        print(summary, file=sys.stderr, flush=True)


def sign_in(running: Services) -> str:
    """Run benchmarks/sign_in.py and return its output."""
    testbed = Testbed(OURS, running)
    testbed.fresh()
    try:
        command = [sys.executable, str(ROOT / "benchmarks" / "sign_in.py"), SIGN_INS]
        done = subprocess.run(
            command, env=testbed.environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return done.stdout.strip()
    finally:
        testbed.close()


if __name__ == "__main__":
    main()
