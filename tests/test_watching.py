"""A resumed run counts the looks it has had, and no other."""

from swe_rm.recipe import TrainConfig
from swe_rm.training_data import TrainingExample
from swe_rm.watching import Watch

LOG = [
    {"step": 1, "dev_auc": 0.6}, {"step": 2, "verdict": 0.7}, {"step": 3, "dev_auc": 0.5}, {"step": 4, "dev_auc": 0.9},
]  # fmt: skip


def watch() -> Watch:
    stop = {"metric": "auc", "every": 1, "patience": 2}
    config = TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], "dev": ["e"], "stop": stop})
    return Watch(config, [TrainingExample(range(9), verdict, 1.0) for verdict in (3, 4)], 3)


def test_looks_after_the_step_a_run_goes_on_from_do_not_count() -> None:
    resumed = watch()
    resumed.restore(LOG, 3)
    assert not resumed.is_over()
    assert resumed.is_better({"dev_auc": 0.8})
    later = watch()
    later.restore(LOG, 4)
    assert not later.is_better({"dev_auc": 0.8})
    early = watch()
    early.restore(LOG, 2)
    assert not early.is_better({"dev_auc": 0.5})
    assert not early.is_over()
    assert not early.is_better({"dev_auc": 0.5})
    assert early.is_over()
