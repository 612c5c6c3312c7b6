"""scripts/check words: refuses words that are not plain English, in texts and in names of code and files."""

import subprocess
import sys

import pytest

from tests.support.site import ROOT


def check(folder, **files):
    """Return the exit code and the output for a repository with these files; `__` in a name is a dot."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    done = subprocess.run([sys.executable, ROOT / "scripts/words.py"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "The operator is to{}ld.",
        "def test_the_operator_is_to{}ld(): ...",
        "isTo{}ldTwice = 1",
        "no{}body reads it",
        "WOK{}EN = 1",
    ],
)
def test_a_word_is_refused_in_a_text_and_in_a_name(tmp_path, line):
    code, output = check(tmp_path, page__py="fine = 1\n" + line.format(""))
    assert code == 1
    assert output.startswith("page.py:2: ")


def test_a_word_is_refused_in_the_name_of_a_file(tmp_path):
    code, output = check(tmp_path, **{"test_it_is_to" + "ld__py": ""})
    assert code == 1
    assert output.startswith("test_it_is_to" + "ld.py:0: ")


@pytest.mark.parametrize(
    "line",
    ["keyboard, dashboard, a hardware fault", "there is no job; it is no longer due", "to{}ld  # words: allow"],
)
def test_plain_english_is_accepted(tmp_path, line):
    assert check(tmp_path, page__md=line.format("")) == (0, "")


def test_of_a_catalogue_only_the_english_is_read(tmp_path):
    assert check(tmp_path, django__po='msgid "ended"\nmsgstr "to{}ld"\n'.format(""))[0] == 0
    assert check(tmp_path, other__po='msgid "to{}ld"\nmsgstr "ended"\n'.format(""))[0] == 1
