"""The arrays score as scikit-learn does, come back from disk as they were, and are refused where damaged."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as fast
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import GradientBoostingClassifier

from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.trajectory import Labelled
from swe_rm.verifiers import features, forest


@fast(max_examples=25, deadline=None)
@given(data=arrays(np.float64, (40, 3), elements={"min_value": -5, "max_value": 5}))
def test_the_flat_forest_equals_scikit_learn(data: np.ndarray) -> None:
    labels = np.arange(40) % 2 == 0
    model = GradientBoostingClassifier(n_estimators=7, max_depth=3, random_state=0).fit(data, labels)
    assert forest._flatten(model).logits(data) == pytest.approx(model.decision_function(data), abs=1e-9)


def test_fitted_saved_and_loaded_it_tells_the_outcomes_apart(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    made = features.Features.fit(labelled_pool, [1.0] * len(labelled_pool), version="7")
    made.save(tmp_path)
    loaded = features.Features.load(tmp_path)
    assert loaded.name == "features@7"
    trajectories = [item.trajectory for item in labelled_pool]
    assert [v.score for v in loaded(trajectories)] == [v.score for v in made(trajectories)]
    assert len(loaded.explain(trajectories[0])) == 5
    with pytest.raises(VerifierError, match="both outcomes"):
        features.Features.fit(labelled_pool[:1], [1.0], version="7")


def test_damaged_arrays_are_refused_and_nothing_is_unpickled(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    features.Features.fit(labelled_pool, [1.0] * len(labelled_pool), version="7").save(tmp_path)
    card = json.loads((tmp_path / features.FILE).read_text())
    (tmp_path / features.FILE).write_text(json.dumps({**card, "columns": card["columns"][1:]}))
    with pytest.raises(CheckpointError, match="other facts"):
        features.Features.load(tmp_path)
    (tmp_path / features.FILE).write_text(json.dumps(card))
    np.savez(tmp_path / features.TREES, base=np.array([object()], dtype=object))
    with pytest.raises(CheckpointError, match=features.TREES):
        features.Features.load(tmp_path)
    (tmp_path / features.TREES).unlink()
    with pytest.raises(CheckpointError, match=features.TREES):
        features.Features.load(tmp_path)
    (tmp_path / features.FILE).unlink()
    with pytest.raises(CheckpointError, match=features.FILE):
        features.Features.load(tmp_path)
