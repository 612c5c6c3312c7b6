"""Every email as files in a folder: HTML, text, the message as it is sent, and a page that lists them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from django.template.loader import render_to_string

from accounts.mail import mime
from accounts.mail.brand import Brand
from accounts.previews.registry import variants_of

INDEX = "index.html"


class NotEmpty(ValueError):
    """The folder has files that are not previews."""


def write(folder: Path, brands: Mapping[str, Brand], languages: Sequence[str]) -> int:
    """Write the emails of the sites to `folder/<site>/<language>/`; return how many. Raise NotEmpty and OSError.

    brands: by the names of the sites.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INDEX).is_file():
        raise NotEmpty(f"{folder} is not empty, and has no {INDEX} of earlier previews")
    rows = []
    for site, brand in brands.items():
        for language in languages:
            place = Path(site, language)
            (folder / place).mkdir(parents=True, exist_ok=True)
            for variant in variants_of(brand):
                mail = variant.build(language, brand)
                _write_one(folder / place / variant.name, mail)
                rows.append({"site": site, "name": variant.name, "mail": mail, "path": place / variant.name})
    (folder / INDEX).write_text(render_to_string("admin/accounts/previews/folder.html", {"rows": rows}), "utf-8")
    return len(rows)


def _write_one(path: Path, mail: mime.Mail) -> None:
    """Write the three files of an email. path: without the suffix."""
    Path(f"{path}.html").write_text(mail.html, "utf-8")
    Path(f"{path}.txt").write_text(mail.text, "utf-8")
    Path(f"{path}.eml").write_bytes(mime.as_bytes(mail))
