"""Words that are not plain English in the texts and names of this project (`scripts/check words`).

Reads code, tests, scripts, templates, documents, deployment files and the msgids of the catalogues; names of files and
names in code are read as words: `what_broker_is` as "what broker is". Prints each line that has such a word.
"""

import re
import subprocess
import sys
from pathlib import Path

WORDS = {
    r"\bcouriers?\b": "broker",
    r"\btold\b": "reported, logged, notified, said in a log",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"(?<!there )\bis (?-i:none)\b": "does not exist, is invalid",
    r"\bby (itself|themselves)\b": "automatically",
    r"\bat once\b": "immediately, at the same time",
    r"\bwhat (became|becomes) of\b": "the result of, the status of",
    r"\bwho(so)?ever\b": "name the actor",
    r"\bworked off\b": "processed",
    r"\b(some|no|every)body\b": "name the actor",
    r"\ball the same\b": "still",
    r"(?<!there )\bis no (?!longer|more|later|less|other)\w+": "is not a valid ...",
    r"\bkeepers?\b": "watchdog, maintenance",
    r"\bpulses?\b": "heartbeat",
    r"\bchores?\b": "maintenance task",
    r"(?<!bull-)\bboards?\b": "scoreboard",
    r"\bears?\b": "listener",
    r"\bwoken\b": "notified, started, requeued",
    r"\bowed\b": "pending",
    r"\banew\b": "again",
    r"\ba moment ago\b": "just",
    r"\bout of order\b": "unavailable",
}
NOT_OURS = ("CHANGELOG.md", "LICENSE", "jobs/static/vendor/", "tests/data/smtp_replies.tsv")
"""The history, whose names were once true, and the texts of others."""

ALLOWED = re.compile(r"\bwords: allow\b")
"""A comment that keeps a line as it is."""


def files() -> list[Path]:
    """Return the versioned files, without those of others."""
    listed = subprocess.check_output(["git", "ls-files"], text=True)  # noqa: S607
    return [Path(path) for path in listed.splitlines() if not path.startswith(NOT_OURS) and Path(path).exists()]


def english(path: Path) -> list[tuple[int, str]]:
    """Return the path as line 0, and the numbered lines: of a catalogue the msgids alone, of a binary none."""
    try:
        lines = list(enumerate([str(path), *path.read_text().splitlines()]))
    except UnicodeDecodeError:
        lines = [(0, str(path))]
    if path.suffix != ".po":
        return lines
    found, inside = [], False
    for number, line in lines:
        inside = line.startswith(("msgid", "#")) or (inside and line.startswith('"'))
        if inside:
            found.append((number, line))
    return found


def split_names(line: str) -> str:
    """Return the line with the words of its names apart, as `two words` for `two_words` and `twoWords`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", line)


def main() -> int:
    """Print the lines to change; return the exit code."""
    bad = 0
    for path in files():
        for number, line in english(path):
            if ALLOWED.search(line):
                continue
            for pattern, better in WORDS.items():
                if found := re.search(pattern, split_names(line), re.IGNORECASE):
                    print(f'{path}:{number}: "{found[0]}": {better}')
                    bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
