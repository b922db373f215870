"""The words baseline reads its section, and scores in numpy what scikit-learn would."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verifiers import words
from tests.conftest import attempt


@pytest.mark.parametrize("section", ["tail", "patch"])
def test_scores_equal_scikit_learn_s(labelled_pool: list[Labelled], section: words.Section) -> None:
    made = words.Words.fit(labelled_pool, [1.0] * len(labelled_pool), section=section, version="1")
    texts = [words.section_text(item.trajectory, section) for item in labelled_pool]
    vectorizer = TfidfVectorizer(analyzer=words.terms, min_df=5, max_features=12_000, sublinear_tf=True)
    logits = vectorizer.fit_transform(texts) @ made._weights + made.card.intercept
    scores = [verdict.score for verdict in made([item.trajectory for item in labelled_pool])]
    assert scores == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


def test_the_tail_tells_what_the_log_says(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    words.Words.fit(labelled_pool, [1.0] * len(labelled_pool), section="tail", version="3").save(tmp_path)
    loaded = words.Words.load(tmp_path)
    assert loaded.name == "words-tail@3"
    for item, verdict in zip(labelled_pool, loaded([i.trajectory for i in labelled_pool]), strict=True):
        assert (verdict.score > 0.5) == (item.outcome is Outcome.RESOLVED)
    assert len(loaded.explain(labelled_pool[0].trajectory)) == 5


def test_only_its_section_is_read() -> None:
    long = attempt(turns=40)
    assert "test_39" in words.section_text(long, "tail")
    assert "test_0" not in words.section_text(long, "tail")
    assert words.section_text(long, "patch") == long.patch
    assert len(words.section_text(attempt(said="x " * 50_000), "tail")) < 6 * (words.TURN_TEXT + 200)


def test_terms_are_words_signs_and_pairs() -> None:
    assert words.terms("+ Foo_bar 12") == ["+", "foo_bar", "12", "+ foo_bar", "foo_bar 12"]


def test_damage_is_refused(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    words.Words.fit(labelled_pool, [1.0] * len(labelled_pool), section="patch", version="3").save(tmp_path)
    card = json.loads((tmp_path / words.FILE).read_text())
    (tmp_path / words.FILE).write_text(json.dumps({**card, "terms": card["terms"][1:]}))
    with pytest.raises(CheckpointError, match="not of one verifier"):
        words.Words.load(tmp_path)
    (tmp_path / words.FILE).write_text("{}")
    with pytest.raises(CheckpointError, match=words.FILE):
        words.Words.load(tmp_path)
    (tmp_path / words.FILE).unlink()
    with pytest.raises(CheckpointError, match=words.FILE):
        words.Words.load(tmp_path)
    with pytest.raises(VerifierError, match="both outcomes"):
        words.Words.fit(labelled_pool[:1], [1.0], section="patch", version="3")
