"""What a result says it was made with."""

import re
from importlib.metadata import version
from pathlib import Path

from swe_rm import made_with


def test_versions_are_of_what_is_installed() -> None:
    assert made_with.versions(("numpy", "no-such-package")) == {"numpy": version("numpy")}


def test_a_checkout_tells_its_commit() -> None:
    found = made_with.commit()
    if (Path(__file__).parents[1] / ".git").exists():
        assert re.fullmatch("[0-9a-f]{40}", found or "")
    else:
        assert found is None
