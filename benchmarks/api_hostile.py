"""Response times of the API to hostile bodies.   usage: python -m benchmarks.api_hostile URL KEY [COUNT]

It sends COUNT (10,000) bodies of tests/support/hostile_bodies.py over eight persistent connections, and a 10 MB body
from time to time. It prints the number of responses by status, and their times.
"""

import http.client
import random
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

from tests.support.hostile_bodies import hostile

CONNECTIONS = 8
HUGE = b"x" * 10_000_000
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
PATH = "/api/jobs/signin-notification"


def post_all(host: str, key: str, bodies: list[bytes], took: dict[str, list[float]], seen: Counter[int]) -> None:
    """Send `bodies` one after another, and record the time and status of each response."""
    client = http.client.HTTPConnection(host, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for body in bodies:
        started = time.perf_counter()
        try:
            client.request("POST", PATH, body, headers)
            response = client.getresponse()
            response.read()
            seen[response.status] += 1
        except OSError:
            seen[0] += 1
            client.close()
        took["10 MB" if body is HUGE else "others"].append(time.perf_counter() - started)
    client.close()


def percentile(seconds: list[float], share: float) -> float:
    """Return the milliseconds that this share of the responses did not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def main(url: str, key: str, count: str = "10000") -> None:
    chance = random.Random(1)  # noqa: S311
    bodies = [hostile(chance) for _ in range(int(count))]
    bodies[:: max(1, len(bodies) // 20)] = [HUGE] * len(bodies[:: max(1, len(bodies) // 20)])
    took: dict[str, list[float]] = {"10 MB": [], "others": []}
    seen: Counter[int] = Counter()
    host = urlsplit(url).netloc
    parts = [(host, key, bodies[number::CONNECTIONS], took, seen) for number in range(CONNECTIONS)]
    threads = [threading.Thread(target=post_all, args=part) for part in parts]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    print(f"{len(bodies)} bodies in {elapsed:.1f} s ({len(bodies) / elapsed:.0f}/s)")
    for kind, seconds in took.items():
        print(
            f"{kind}: "
            + "  ".join(f"{name} {percentile(seconds, share):.1f} ms" for name, share in PERCENTILES.items())
        )
    print("statuses: " + "  ".join(f"{status}: {number}" for status, number in sorted(seen.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
