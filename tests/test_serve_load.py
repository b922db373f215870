"""10,000 requests of 200 clients: no verdict is lost, doubled or swapped, and memory returns to its level."""

from pathlib import Path

import pytest
from benchmarks.server_load import SMALL, load

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytest.importorskip("torch")


@pytest.mark.slow
def test_no_verdict_is_lost_or_swapped_under_load(tmp_path: Path) -> None:
    found = load(tmp_path, 10_000, 200, **SMALL)
    assert found["wrong"] == 0, found
    before, after = found["memory_mb"]
    assert after < before + 100, found
