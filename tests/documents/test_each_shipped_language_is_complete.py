"""Every catalogue of the project: each text translated, none of them fuzzy, every plural form, no text left out."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po
from django.utils.translation import to_language

from scripts import countries
from tests.support.site import ROOT

PLACES = ("accounts/locale", "jobs/locale", "locale", "notifier/locale")
SHIPPED = sorted(
    {file.parent.parent.name for place in PLACES for file in (ROOT / place).glob("*/LC_MESSAGES/django.po")}
)
CATALOGUES = [f"{place}/{locale}/LC_MESSAGES/django.po" for place in PLACES for locale in SHIPPED]
each_catalogue = pytest.mark.parametrize("path", CATALOGUES)


def read(file: Path) -> Catalog:
    with file.open("rb") as stream:
        return read_po(stream, locale=file.parent.parent.name)


def faults(catalogue: Catalog) -> dict[str, str]:
    """Return what is wrong with each text of a catalogue."""
    found = {}
    for message in catalogue:
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
        key = message.id if isinstance(message.id, str) else message.id[0]
        if not key:
            continue
        if message.fuzzy:
            found[key] = "fuzzy"
        elif not all(forms):
            found[key] = "untranslated"
        elif message.pluralizable and len(forms) != catalogue.num_plurals:
            found[key] = f"{len(forms)} of {catalogue.num_plurals} plural forms"
        elif errors := list(message.check(catalogue)):
            found[key] = str(errors[0])
    return found


@each_catalogue
def test_each_text_is_translated_with_every_plural_form(path):
    assert faults(read(ROOT / path)) == {}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ('msgid "a"\nmsgstr ""\n', "untranslated"),
        ('#, fuzzy\nmsgid "a"\nmsgstr "b"\n', "fuzzy"),
        ('msgid "a"\nmsgid_plural "as"\nmsgstr[0] "b"\nmsgstr[1] ""\n', "untranslated"),
        ('#, python-format\nmsgid "a"\nmsgid_plural "%(n)d as"\nmsgstr[0] "b"\nmsgstr[1] "%(m)d"\n', "unknown"),
    ],
)
def test_a_text_that_is_not_complete_is_found(tmp_path, entry, fault):
    file = tmp_path / "mn" / "LC_MESSAGES" / "django.po"
    file.parent.mkdir(parents=True)
    lines = ("Content-Type: text/plain; charset=UTF-8", "Plural-Forms: nplurals=2; plural=(n != 1);")
    header = 'msgid ""\nmsgstr ""\n' + "".join(f'"{line}\\n"\n' for line in lines) + "\n"
    file.write_text(header + entry)
    assert fault in faults(read(file))["a"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("xgettext") and "CI" not in os.environ, reason="needs gettext")
def test_no_text_of_the_code_is_missing_in_a_catalogue(tmp_path):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (
            re.match(r"(accounts|jobs|notifier|templates|locale)/|manage.py|Makefile|scripts/", name)
            and (ROOT / name).is_file()
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    environment = {**os.environ, "ENV_FILE": os.devnull, "VENV": sys.prefix}
    done = subprocess.run(
        ["make", "messages", "BOOTSTRAP=true"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for path in CATALOGUES:
        assert faults(read(tmp_path / path)) == {}, path
        assert {message.id for message in read(tmp_path / path)} == {message.id for message in read(ROOT / path)}, path


@pytest.mark.parametrize("language", ["en", *map(to_language, SHIPPED)])
def test_the_names_of_countries_are_those_of_cldr(language):
    file = ROOT / "locale" / countries.locale_name(language) / "cldr.json"
    names = json.loads(file.read_text())
    assert names == countries.names_of(language), "make countries"
    assert len(names["countries"]) > 240
    assert all(names["countries"].values())
