"""Which code a result is of: the commit of this checkout and the versions of libraries."""

import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def commit() -> str | None:
    """The commit of the checkout this package lies in; None for an installed package."""
    folder = Path(__file__).parent
    if not (folder.parents[1] / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S607
    return found.stdout.strip() or None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Package -> its version, of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # what needs it says so in its own words
    return found
