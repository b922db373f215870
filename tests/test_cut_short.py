"""A prefix of an attempt is what the agent had done by then, under the verdict of the whole."""

import pytest

from swe_rm import cut_short
from swe_rm.render import rendered_text
from swe_rm.trajectory import Labelled
from tests.conftest import attempt


def test_a_prefix_ends_with_the_results_of_its_last_turn() -> None:
    whole = attempt(turns=3)
    assert len(cut_short.turn_starts(whole)) == 4
    for turns in (1, 2, 3):
        part = cut_short.after_turns(whole, turns)
        assert part.messages == whole.messages[: len(part.messages)]
        assert (part.messages[-1].role, len(cut_short.turn_starts(part))) == ("tool", turns)
        assert (part.patch, part.finished, part.task) == ("", False, whole.task)
        log, _, _ = rendered_text(part).partition("<|patch|>")
        assert rendered_text(whole).startswith(log.rstrip("\n"))
    for turns in (0, 4):
        with pytest.raises(ValueError, match="turns of 4"):
            cut_short.after_turns(whole, turns)


def test_a_demonstration_is_no_turn() -> None:
    whole = attempt(turns=2)
    shown = tuple(message.model_copy(update={"demo": True}) for message in whole.messages[2:4])
    both = whole.model_copy(update={"messages": (*shown, *whole.messages)})
    assert [start - 2 for start in cut_short.turn_starts(both)] == cut_short.turn_starts(whole)


def test_the_share_is_drawn_by_seed_and_outcomes_stay(labelled_pool: list[Labelled]) -> None:
    pool = [
        item.model_copy(update={"trajectory": attempt(f"acme__tool-{n}", number=n, turns=9)})
        for n in range(60)
        for item in labelled_pool[:2]
    ]
    drawn = [cut_short.drawn(item, 0.3, 7) for item in pool]
    assert drawn == [cut_short.drawn(item, 0.3, 7) for item in pool]
    assert drawn != [cut_short.drawn(item, 0.3, 8) for item in pool]
    cut = [item for item in drawn if not item.trajectory.finished]
    assert 0.15 * len(pool) < len(cut) < 0.45 * len(pool)
    assert [item.outcome for item in drawn] == [item.outcome for item in pool]
    assert len({len(item.trajectory.messages) for item in cut}) > 4
    assert [cut_short.drawn(item, 0.0, 7) for item in pool] == pool
    bare = pool[0].model_copy(update={"trajectory": attempt(turns=0)})
    assert cut_short.drawn(bare, 1.0, 7) is bare
