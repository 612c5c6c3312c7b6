"""CONTRIBUTING.md, the glossary and the list of dependencies agree with the files of the project."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CONTRIBUTING = ROOT.joinpath("CONTRIBUTING.md").read_text()
GLOSSARY = ROOT.joinpath("docs/glossary.md").read_text()
NOT_NAMED = ("commands",)  # management/commands says nothing that management does not


def folders():
    """Folders of code, templates, static files and translations, without those inside of the last three."""
    files = subprocess.run(
        ["git", "ls-files", "jobs", "accounts", "notifier"], cwd=ROOT, capture_output=True, text=True
    )
    found = set()
    for file in files.stdout.splitlines():
        parents = Path(file).parts[:-1]
        for depth in range(1, len(parents) + 1):
            if not {"templates", "static", "locale", "formats", "dev"} & set(parents[: depth - 1]):
                found.add("/".join(parents[:depth]) + "/")
    return {folder for folder in found if folder.split("/")[-2] not in NOT_NAMED}


def test_the_module_map_names_every_folder_once():
    section = CONTRIBUTING.partition("## Module map")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([^`]+/)` \| .+ \|$", section, re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == folders()


@pytest.mark.parametrize("text", [CONTRIBUTING, GLOSSARY], ids=["contributing", "glossary"])
def test_every_place_exists(text):
    named = re.findall(r"`((?:jobs|accounts|notifier|docs|scripts|tests|locale)/[\w./-]*)`", text)
    assert named
    assert {place for place in named if not ROOT.joinpath(place).exists()} == set()


def test_the_glossary_has_a_meaning_and_a_place_for_each_word_in_alphabetical_order():
    rows = re.findall(r"^\| ([^|`-][^|]*) \| ([^|]+) \| `([^`]+)` \|$", GLOSSARY, re.MULTILINE)
    words = [word.lower() for word, _, _ in rows]
    assert len(rows) >= 40
    assert len(rows) == GLOSSARY.count("\n| ") - 1
    assert words == sorted(set(words))


def test_the_list_of_dependencies_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "scripts/dependencies.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
