"""`python -m notifier_check`, in the folder of a project: whether the queue's package `jobs` is the one it imports.

It is a module of its own, because a project's package `jobs` hides every module of the queue's.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

OURS = Path(__file__).resolve().parent / "jobs"
CURE = """The project has its own package {found}: it hides the queue's, {ours}.
Rename the project's package, and change its name in INSTALLED_APPS and in the imports of the project. Keep the names of
its tables: write `label = "..."` in its AppConfig, any label but "jobs", and `db_table` in its models."""


def find(folder: Path) -> Path | None:
    """Return the folder of the package `jobs` that a process imports that is started in `folder`; None without one."""
    spec = PathFinder.find_spec("jobs", [str(folder), *sys.path])
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec else []
    return Path(places[0]).resolve() if places else None


def main() -> int:
    """Print which package is imported. Return 0 when it is the queue's, and 1 for any other."""
    found = find(Path.cwd())
    if found == OURS:
        print(f"jobs is the queue's package: {OURS}")
        return 0
    print(CURE.format(found=found, ours=OURS), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
