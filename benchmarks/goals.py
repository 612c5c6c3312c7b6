"""The goals (issue 8), and whether this run reached them."""

from collections.abc import Callable

Row = dict[str, float | None]


def render(rows: dict[str, Row]) -> str:
    """Return a table: each goal, its measurement, and whether it was reached."""
    ours = rows["ours"]
    peers = {name: row for name, row in rows.items() if name != "ours"}
    lines = [
        _least("emails/s, times the fastest peer", 2.5, _over(ours, peers, "rate", max)),
        _least("emails/s at a 50 ms reply, times the fastest peer", 4, _over(ours, peers, "rate_slow", max)),
        _most("CPU an email, as a share of the best peer's", 0.5, _over(ours, peers, "cpu", min)),
        _most("pickup p50, ms beyond the best peer's", 2, _beyond(ours, peers, "p50")),
        _most("pickup p95, ms beyond the best peer's", 2, _beyond(ours, peers, "p95")),
        _most("queries a minute when idle", 10, ours["idle"]),
        _most("memory of the idle cluster, MB", 100, ours["pss_idle"]),
    ]
    if stock := {name: row for name, row in rows.items() if name == "stock"}:
        lines.append(_least("emails/s, times stock django-q2", 10, _over(ours, stock, "rate", max)))
        lines.append(_most("enqueue, times stock django-q2", 1.3, _over(ours, stock, "enqueue", max)))
    return "| goal | asked | measured | |\n|---|---:|---:|---|\n" + "\n".join(lines)


def _best(peers: dict[str, Row], figure: str, best: Callable[[list[float]], float]) -> float | None:
    values = [value for row in peers.values() if (value := row[figure]) is not None]
    return best(values) if values else None


def _over(ours: Row, peers: dict[str, Row], figure: str, best: Callable[[list[float]], float]) -> float | None:
    mine, theirs = ours[figure], _best(peers, figure, best)
    return mine / theirs if mine is not None and theirs else None


def _beyond(ours: Row, peers: dict[str, Row], figure: str) -> float | None:
    mine, theirs = ours[figure], _best(peers, figure, min)
    return mine - theirs if mine is not None and theirs is not None else None


def _least(goal: str, asked: float, measured: float | None) -> str:
    return _line(goal, f"at least {asked:g}", measured, measured is not None and measured >= asked)


def _most(goal: str, asked: float, measured: float | None) -> str:
    return _line(goal, f"at most {asked:g}", measured, measured is not None and measured <= asked)


def _line(goal: str, asked: str, measured: float | None, reached: bool) -> str:
    text = "-" if measured is None else f"{measured:.2f}"
    return f"| {goal} | {asked} | {text} | {'reached' if reached else 'missed'} |"
