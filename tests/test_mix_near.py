"""Near-duplicates are what brute force over all pairs finds, whatever the order, and a sketch estimates it well."""

import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import SweRmError
from swe_rm.mix import near

WORDS = st.lists(st.sampled_from(["lamp", "hums", "the", "é", "x = 1", "\n", "\t\t", ""]), max_size=40).map(" ".join)


def grams(text: str) -> set[tuple[str, ...]]:
    """The slow twin of the shingles: the 5-grams themselves."""
    words = text.split()
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))}


def exact(one: str, other: str) -> float:
    a, b = grams(one), grams(other)
    return len(a & b) / len(a | b)


def planted(seed: int, originals: int, copies: int, words: int = 400) -> list[str]:
    """Unrelated texts and, shuffled among them, copies of each with a piece of random length replaced."""
    dice = random.Random(seed)
    texts = [[f"w{dice.randrange(3000)}" for _ in range(words)] for _ in range(originals)]
    for original in texts[:originals]:
        for _ in range(copies):
            length = 1 + int(words / 4 * dice.random() ** 2)
            at = dice.randrange(words - length)
            other = [f"v{dice.randrange(3000)}" for _ in range(length)]
            texts.append([*original[:at], *other, *original[at + length :]])
    dice.shuffle(texts)
    return [" ".join(text) for text in texts]


def brute(texts: Sequence[str], groups: Sequence[object], threshold: float) -> list[tuple[int, int]]:
    """(member, first of its cluster) from exact similarity over all pairs."""
    first = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        if groups[one] == groups[other] and exact(texts[one], texts[other]) >= threshold:
            low, high = sorted((first[one], first[other]))
            first = [low if root == high else root for root in first]
    return [(at, root) for at, root in enumerate(first) if at != root]


@given(one=WORDS, other=WORDS)
def test_shingles_are_the_word_5_grams(one: str, other: str) -> None:
    assert len(near.shingles(one)) == len(grams(one))
    assert near.jaccard(near.shingles(one), near.shingles(other)) == pytest.approx(exact(one, other))


@given(one=WORDS, other=WORDS)
def test_a_sketch_is_of_the_5_grams_alone(one: str, other: str) -> None:
    assert len(near.sketch(one)) == 2 * near.SLOTS
    if grams(one) == grams(other):
        assert near.sketch(one) == near.sketch(other)
        assert near.similarity(near.sketch(one), near.sketch(other)) == 1


def test_a_sketch_estimates_similarity_to_its_standard_error() -> None:
    piles = [planted(seed, originals=1, copies=4) for seed in range(50)]
    pairs = [pair for pile in piles for pair in combinations(pile, 2)]
    errors = np.array([near.similarity(near.sketch(a), near.sketch(b)) - exact(a, b) for a, b in pairs])
    assert abs(errors.mean()) < 0.01
    assert errors.std() < 1.2 * 0.5 / np.sqrt(near.SLOTS)


@given(threshold=st.floats(0.05, 1))
def test_bands_are_as_long_as_recall_allows(threshold: float) -> None:
    n_bands, width = near.bands(threshold)

    def missed(width: int) -> float:
        return float((1 - threshold**width) ** (near.SLOTS // width))

    assert n_bands * width <= near.SLOTS
    assert missed(width) <= near.MISSED
    assert width == near.SLOTS or missed(width + 1) > near.MISSED


def test_the_bands_of_the_usual_threshold() -> None:
    assert near.bands(0.8) == (36, 7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.95])
def test_with_texts_it_is_brute_force_over_all_pairs(seed: int, threshold: float) -> None:
    texts = planted(seed, originals=6, copies=5, words=300)
    groups = [at % 2 for at in range(len(texts))] if seed % 2 else [None] * len(texts)
    sketches = [near.sketch(text) for text in texts]
    found = near.near_duplicates(sketches, groups, threshold, texts.__getitem__)
    expected = brute(texts, groups, threshold)
    assert expected
    assert [(copy.ordinal, copy.of) for copy in found] == expected
    for copy in found:
        assert copy.jaccard == pytest.approx(exact(texts[copy.ordinal], texts[copy.of]))


def test_by_sketches_alone_recall_and_false_share_on_a_planted_set() -> None:
    """Pairs of one original and one copy, so that a cluster is a pair; similarities from 0.6 to 1."""
    texts = [text for seed in range(400) for text in planted(seed + 100, originals=1, copies=1)]
    groups = [at // 2 for at in range(len(texts))]
    found = {copy.of for copy in near.near_duplicates([near.sketch(text) for text in texts], groups)}
    truth = {at: exact(texts[at], texts[at + 1]) for at in range(0, len(texts), 2)}
    wanted = {at for at, value in truth.items() if value >= 0.8}
    recall, false = len(found & wanted) / len(wanted), len(found - wanted) / len(found)
    said = f"recall {recall:.3f} of {len(wanted)} pairs at 0.8 and above, false share {false:.3f} of {len(found)}"
    assert 200 < len(wanted) < 350, said
    assert recall >= 0.95, said
    assert false <= 0.15, said
    assert min(truth[at] for at in found) > 0.68, said


@given(order=st.permutations(range(18)), with_texts=st.booleans())
def test_the_clusters_do_not_depend_on_the_order_and_the_first_is_kept(order: list[int], with_texts: bool) -> None:
    texts = planted(7, originals=3, copies=5, words=60)

    def clusters(order: Sequence[int]) -> set[frozenset[int]]:
        chosen = [texts[at] for at in order]
        copies = near.near_duplicates(
            [near.sketch(text) for text in chosen], None, 0.8, chosen.__getitem__ if with_texts else None
        )
        first = list(range(len(order)))
        for copy in copies:
            assert copy.of < copy.ordinal
            first[copy.ordinal] = copy.of
        assert all(first[of] == of for of in first)
        return {frozenset(order[at] for at in range(len(order)) if first[at] == root) for root in set(first)}

    assert clusters(order) == clusters(range(18))


def test_a_chain_is_one_cluster_and_its_ends_say_how_near_they_are() -> None:
    words = [f"w{at}" for at in range(300)]
    texts = [" ".join([*(f"v{at}" for at in range(n * 24)), *words[n * 24 :]]) for n in range(3)]
    assert exact(texts[0], texts[2]) < 0.8 <= exact(texts[0], texts[1])
    found = near.near_duplicates([near.sketch(text) for text in texts], None, 0.8, texts.__getitem__)
    assert [(copy.ordinal, copy.of) for copy in found] == [(1, 0), (2, 0)]
    assert found[1].jaccard < 0.8 <= found[0].jaccard


def test_groups_are_never_mixed_and_no_group_is_one_group() -> None:
    sketches = [near.sketch("the lamp hums at night and nobody knows why")] * 4
    apart = near.near_duplicates(sketches, ["a", "b", "a", None])
    assert [(copy.ordinal, copy.of, copy.jaccard) for copy in apart] == [(2, 0, 1.0)]
    assert [copy.of for copy in near.near_duplicates(sketches)] == [0, 0, 0]
    with pytest.raises(ValueError, match="4 sketches and 1 groups"):
        near.near_duplicates(sketches, ["a"])


def test_one_array_of_sketches_is_as_good_and_few_sketches_have_few_copies() -> None:
    texts = planted(3, originals=4, copies=2)
    sketches = [near.sketch(text) for text in texts]
    table = np.frombuffer(b"".join(sketches), "<u2").reshape(-1, near.SLOTS)
    assert near.near_duplicates(table) == near.near_duplicates(sketches)
    assert near.near_duplicates([]) == near.near_duplicates(sketches[:1]) == []


def test_a_pile_of_one_template_is_compared_in_linear_time() -> None:
    """20,000 attempts that are all near one another: 200 million pairs, of which a cluster needs 19,999."""
    table = np.tile(np.arange(near.SLOTS, dtype=np.uint16), (20_000, 1))
    table[np.arange(20_000), np.arange(20_000) % 256] = np.arange(20_000) % 65_521
    copies = near.near_duplicates(table)
    assert len(copies) == 19_999
    assert {copy.of for copy in copies} == {0}


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(SweRmError, match="threshold"):
        near.near_duplicates([], None, threshold)


def test_without_rensa_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['rensa'] = None\nfrom swe_rm.mix import near\nnear.sketch('a')"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "rensa is not installed: pip install 'swe-rm[data]'" in failed.stderr
