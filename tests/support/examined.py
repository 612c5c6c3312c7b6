"""Programs of npm that examine pages: html-validate and lighthouse, in the versions of page_tools/package-lock.json."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.npm import QUIET, npm
from tests.support.site import ROOT

TOOLS = ROOT / "tests" / "support" / "page_tools"
RULES = {"root": True, "extends": ["html-validate:standard"], "elements": ["html5"]}
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage"


def install_tools(folder: Path) -> Path:
    """Install the programs in a folder; return that of their commands. Skip the test on a machine without npm."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TOOLS / name, folder)
    npm(folder, "ci", "--ignore-scripts", *QUIET)
    return folder / "node_modules" / ".bin"


def find_html_errors(commands: Path, pages: dict[str, str]) -> Counter[str]:
    """Return what html-validate finds in pages, which have names: rule, message, and the first page with it."""
    folder = commands.parent.parent / "pages"
    folder.mkdir()
    (folder / ".htmlvalidate.json").write_text(json.dumps(RULES))
    names = {}
    for number, (name, html) in enumerate(pages.items()):
        file = folder / f"{number}.html"
        file.write_text(html)
        names[str(file)] = name
    command = [str(commands / "html-validate"), "--formatter", "json", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    found: Counter[str] = Counter()
    first: dict[str, str] = {}
    for report in json.loads(done.stdout):
        for message in report["messages"]:
            what = f"{message['ruleId']}: {message['message']}"
            first.setdefault(what, f"{names[report['filePath']]}, line {message['line']}")
            found[what] += 1
    return Counter({f"{what} ({first[what]})": count for what, count in found.items()})


def run_lighthouse(commands: Path, url: str, chromium: str, cookie: str = "") -> dict[str, Any]:
    """Return lighthouse's report about a page: accessibility and performance, on its simulated phone."""
    headers = commands.parent.parent / "headers.json"
    headers.write_text(json.dumps({"Cookie": cookie} if cookie else {}))
    command = [str(commands / "lighthouse"), url, "--output=json", "--quiet", f"--chrome-flags={FLAGS}"]
    command += ["--only-categories=accessibility,performance", f"--extra-headers={headers}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "CHROME_PATH": chromium}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report
