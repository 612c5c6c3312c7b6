"""`manage.py preview_mails`: which files it writes, and what it refuses."""

import email
from email.policy import default

import pytest
from django.core.management import CommandError, call_command

from accounts.previews.registry import brands, variants_of
from tests.support.languages import add_kazakh


def preview(folder, *options):
    call_command("preview_mails", "--to", str(folder), *options, "--skip-checks")
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*"))


def test_every_email_is_written_as_html_text_and_eml_with_a_list(tmp_path):
    files = preview(tmp_path / "new" / "mails")
    expected = {
        f"{site}/{language}/{variant.name}.{suffix}"
        for site, brand in brands().items()
        for language in ("mn", "en")
        for variant in variants_of(brand)
        for suffix in ("html", "txt", "eml")
    }
    assert set(files) == expected | {"index.html"}
    listed = (tmp_path / "new" / "mails" / "index.html").read_text()
    assert all(f'href="{file}"' in listed for file in expected)
    assert "Шинэ төхөөрөмжөөс" in listed


def test_the_eml_file_is_the_message_that_would_be_sent(tmp_path):
    preview(tmp_path, "--site", "own", "--language", "mn")
    place = tmp_path / "own" / "mn" / "sign-in.new-device.password"
    message = email.message_from_bytes(place.with_name(f"{place.name}.eml").read_bytes(), policy=default)
    parts = {suffix: place.with_name(f"{place.name}.{suffix}").read_text() for suffix in ("txt", "html")}
    assert message["Subject"] == "🔐 Шинэ төхөөрөмжөөс таны бүртгэлд нэвтэрлээ - Шар хуудас"
    assert message["Content-Language"] == "mn"
    for kind, suffix in (("plain", "txt"), ("html", "html")):
        body = message.get_body((kind,)).get_content().replace("\r\n", "\n")
        assert body.strip() == parts[suffix].strip()


def test_one_language_and_one_site_are_written_when_they_are_named(settings, tmp_path):
    add_kazakh(settings)
    files = preview(tmp_path, "--language", "kk", "--site", "example")
    assert {file.rpartition("/")[0] for file in files} == {"example/kk", ""}
    text = (tmp_path / "example/kk/sign-in.new-device.password.txt").read_text()
    assert "Жаңа құрылғыдан кіру" in text
    assert "Example Shop" in text


def test_earlier_previews_are_replaced_and_other_files_are_left_alone(tmp_path):
    preview(tmp_path, "--site", "own", "--language", "en")
    assert preview(tmp_path, "--site", "own", "--language", "en")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(CommandError, match="is not empty"):
        preview(other)
    assert [file.name for file in other.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="Not a directory"):
        preview(tmp_path / "file" / "mails")
