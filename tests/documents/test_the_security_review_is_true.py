"""docs/security-review.md: each requirement once; each file, function and test that it names exists; the sums agree."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.site import ROOT

PAGE = Path(ROOT, "docs/security-review.md").read_text()
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if re.match(r"\| [678]\.\d+\.\d+ ", line)]
SECTIONS = {6: (3, 12, 8, 6, 8, 4, 2, 4), 7: (3, 4, 2, 5, 3, 2), 8: (4, 4, 3, 2)}  # requirements of ASVS 5.0.0
VERDICTS = ("met", "**in part**", "**not met**", "does not apply")
NAMED = re.compile(r"`([\w./-]+\.(?:py|md|html))`((?::? `\w+`(?:, (?=`\w+`))?)*)")


def test_every_requirement_has_one_row_in_order():
    wanted = [
        f"{chapter}.{section}.{number}"
        for chapter, sizes in SECTIONS.items()
        for section, size in enumerate(sizes, 1)
        for number in range(1, size + 1)
    ]
    assert [row[0].strip() for row in ROWS] == wanted
    assert {len(row) for row in ROWS} == {6}
    assert {row[3] for row in ROWS} == set(VERDICTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_every_file_function_and_test_that_a_row_names_exists(row):
    for column in row[4:]:
        for path, names in NAMED.findall(column):
            file = ROOT / path
            assert file.exists(), path
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b{name}\b", file.read_text()), f"{path} {name}"
    assert "`tests/" in row[5] or row[5].strip() == "none"


def test_the_summary_counts_the_rows():
    for chapter in (6, 7, 8):
        found = Counter(row[3] for row in ROWS if row[0].strip().startswith(f"{chapter}."))
        shown = re.search(rf"^\| V{chapter} [^|]+ \| (.+) \|$", PAGE, re.MULTILINE)[1].split(" | ")
        assert [int(number) for number in shown] == [*(found[verdict] for verdict in VERDICTS), found.total()]


def test_every_row_that_is_not_met_is_listed_by_its_level():
    listed = dict(re.findall(r"^- level (\d): (.+)$", PAGE, re.MULTILINE))
    for level, numbers in listed.items():
        rows = [row[0].strip() for row in ROWS if row[1] == level and row[3] in VERDICTS[1:3]]
        assert numbers == (", ".join(rows) or "none")


ABUSES = [line.strip("|").split(" | ") for line in PAGE.splitlines() if re.match(r"\| (A\d+|-) \|", line)]


def test_every_abuse_has_a_row():
    assert {row[0].strip() for row in ABUSES} - {"-"} == {f"A{number}" for number in range(1, 19)}
    assert {len(row) for row in ABUSES} == {5}


@pytest.mark.parametrize("row", ABUSES, ids=lambda row: f"{row[0].strip()} {row[1]}")
def test_every_file_and_test_that_an_abuse_names_exists(row):
    assert all((ROOT / path).exists() for path in re.findall(r"`([\w./-]+)`", row[2]))
    assert NAMED.search(row[3])
    for path, names in NAMED.findall(row[3]):
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}(" in (ROOT / path).read_text(), f"{path} {name}"
