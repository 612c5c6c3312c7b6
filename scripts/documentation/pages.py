"""What `make docs` makes of the repository: which files are pages, where links lead, and Markdown as MkDocs reads it.

It needs no package, so that the tests of the documents use it too. docs/*.md are pages under their own names; PROJECT
has those from outside of docs/. Any other file that a page links to gets a page below files/, which shows it.
"""

import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = {
    "README.md": "project/overview.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "deploy/README.md": "project/deployment.md",
    "clients/python/README.md": "project/python-client.md",
    "clients/typescript/README.md": "project/typescript-client.md",
}
"""Documents outside of docs/, and their names on the site."""

API_REFERENCE = "api-reference.md"
"""The page that is made from docs/openapi.json."""

LANGUAGES = {
    "conf": "nginx",
    "ini": "ini",
    "js": "js",
    "json": "json",
    "mjs": "js",
    "py": "python",
    "service": "ini",
    "sh": "sh",
    "toml": "toml",
    "ts": "ts",
    "yaml": "yaml",
    "yml": "yaml",
}
LINK = re.compile(r'(?P<before>\]\(|src=")(?P<path>[^)#"\s]*)(?P<anchor>#[^)"\s]*)?(?=[)"])')
FENCE = re.compile(r"^ *(```|~~~)")
ITEM = re.compile(r"^( *)([-*+]|\d+\.) ")
CODE = re.compile(r"`[^`\n]*`")


def slug(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading as GitHub makes it; for the option `slugify` of Markdown's `toc`."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


@cache
def tracked() -> frozenset[str]:
    """Return the versioned files, and the new ones that Git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)  # noqa: S603
    return frozenset(path for path in listed.splitlines() if (ROOT / path).exists())


def documents() -> dict[str, str]:
    """Return the pages that are written by hand: the path of each file, and its name on the site."""
    own = sorted(path for path in tracked() if path.startswith("docs/") and path.endswith(".md"))
    return {path: path.removeprefix("docs/") for path in own} | PROJECT


def links(text: str) -> Iterator[re.Match[str]]:
    """Yield the relative links and images of a Markdown text, without those in code."""
    inside = False
    start = 0
    for line in text.splitlines(keepends=True):
        fence = bool(FENCE.match(line))
        inside ^= fence
        if not (inside or fence or line.startswith("    ")):
            hidden = [found.span() for found in CODE.finditer(line)]
            for link in LINK.finditer(text, start, start + len(line)):
                at = link.start() - start
                if not (is_external(link["path"]) or any(first <= at < last for first, last in hidden)):
                    yield link
        start += len(line)


def is_external(path: str) -> bool:
    """Return whether a link leads to another site, or to a path of the running one."""
    return path.startswith(("http:", "https:", "mailto:", "/"))


def target_of(source: str, link: re.Match[str]) -> str:
    """Return the path in the repository to which a link in the file `source` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"])) if link["path"] else source


def page_of(path: str) -> str:
    """Return the name on the site of a file or folder of the repository."""
    if path in documents():
        return documents()[path]
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    if f"{path}/README.md" in documents():
        return documents()[f"{path}/README.md"]
    return f"files/{path}.md"


def shown_files() -> dict[str, str]:
    """Return the pages below files/: each file and folder that a document links to, and each file of such a folder."""
    found = {target_of(source, link) for source in documents() for link in links((ROOT / source).read_text())}
    folders = {path for path in found if (ROOT / path).is_dir()}
    found |= {file for folder in folders for file in files_below(folder)}
    return {path: name for path in sorted(found) if (name := page_of(path)).startswith("files/") and exists(path)}


def files_below(folder: str) -> list[str]:
    """Return the versioned files of a folder and of the folders in it, in order."""
    return sorted(file for file in tracked() if file.startswith(f"{folder}/"))


def exists(path: str) -> bool:
    """Return whether there is a versioned file or folder of this name."""
    return path in tracked() or bool(files_below(path))


def show(path: str) -> str:
    """Return the page of a file, as a block of code, or of a folder, as a list of its files."""
    head = f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n\n# `{path}`\n\n"
    if (ROOT / path).is_dir():
        lines = [f"- [{file}]({_relative(page_of(path), page_of(file))})" for file in files_below(path)]
        return head + "\n".join(lines) + "\n"
    text = (ROOT / path).read_text()
    fence = "`" * (max(map(len, re.findall(r"`{3,}", text)), default=2) + 1)
    return f"{head}{fence}{LANGUAGES.get(path.rpartition('.')[2], 'text')}\n{text.rstrip()}\n{fence}\n"


def prepare(text: str, source: str) -> str:
    """Return a document as MkDocs needs it: links between pages of the site, and an empty line before each list."""
    page = page_of(source)
    return _separate_lists(_replace_links(text, lambda link: _relative(page, page_of(target_of(source, link)))))


def _replace_links(text: str, path_of: Callable[[re.Match[str]], str]) -> str:
    parts, last = [], 0
    for link in links(text):
        if link["path"]:
            parts += [text[last : link.start("path")], path_of(link)]
            last = link.end("path")
    return "".join([*parts, text[last:]])


def _relative(page: str, other: str) -> str:
    return posixpath.relpath(other, posixpath.dirname(page) or ".")


def _separate_lists(text: str) -> str:
    """Add the empty line before a list that Python's Markdown needs and GitHub does not."""
    lines: list[str] = []
    inside = in_list = False
    for line in text.split("\n"):
        inside ^= bool(FENCE.match(line))
        item = ITEM.match(line) if not inside else None
        if item and not in_list and lines and lines[-1].strip() and not item[1]:
            lines.append("")
        in_list = bool(item) or (in_list and bool(line.strip()))
        lines.append(line)
    return "\n".join(lines)
