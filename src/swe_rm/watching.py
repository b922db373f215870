"""The dev attempts a run is watched on: how well it tells them apart, which look was the best, when to stop."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from swe_rm import batch, metrics, parallel, schedule
from swe_rm.reading import Reader
from swe_rm.recipe import Stop, TrainConfig
from swe_rm.training_data import TrainingExample

FIELDS = {"auc": "dev_auc", "ece": "dev_ece"}
"""Log field of each metric."""


class Watch:
    """Counts looks; a look is a pass over the dev attempts without gradients."""

    def __init__(self, config: TrainConfig, examples: Sequence[TrainingExample], yes: int) -> None:
        """`yes` is the token of a resolved attempt's verdict. Without `stop` the run is looked at and never stopped."""
        self.examples = examples
        self._stop = config.stop or Stop(patience=2**31)
        self._keeps = config.stop is not None
        self._resolved = np.array([example.verdict_id == yes for example in examples])
        lengths = [len(example.token_ids) for example in examples]
        self._rows = batch.best_fit(lengths, range(len(lengths)), config.tokens_per_row)
        self._lengths = [sum(lengths[index] for index in row) for row in self._rows]
        self._best: float | None = None
        self._since = 0

    def restore(self, records: Iterable[Mapping[str, Any]], resumed: int) -> None:
        """Take up the looks of a log, up to the step the run goes on from."""
        for record in records:
            if record["step"] <= resumed and FIELDS[self._stop.metric] in record:
                self.is_better(record)

    def is_due(self, step: int, steps: int) -> bool:
        """Whether to look after this step."""
        return step % self._stop.every == 0 or step == steps

    def look(self, network: Any, reader: Reader, accelerator: Any, processes: int, place: int) -> dict[str, float]:
        """AUC and calibration error on the dev attempts; the rows are shared by so many (groups of) processes."""
        network.eval()
        values = [0.0] * len(self.examples)
        mine = schedule.shares(self._lengths, processes)[place]
        for number in mine:
            row = reader.row(self._rows[max(0, number)])
            for member, margin in reader.margins(network, row).items():
                values[row.members[member]] = margin if number >= 0 else values[row.members[member]]
        scores = 1 / (1 + np.exp(-np.array(parallel.summed(values, accelerator))))
        auc = metrics.auc_score(scores, self._resolved)
        ece = metrics.calibration_error(scores, self._resolved)
        assert auc is not None
        assert ece is not None
        return {"dev_auc": float(auc), "dev_ece": float(ece)}

    def is_better(self, figures: Mapping[str, Any]) -> bool:
        """Count a look; whether it is the best so far and its weights are to be kept."""
        metric = self._stop.metric
        value = float(figures[FIELDS[metric]]) * (1 if metric == "auc" else -1)
        better = self._best is None or value > self._best
        self._since = 0 if better else self._since + 1
        self._best = value if better else self._best
        return better and self._keeps

    def is_over(self) -> bool:
        """Whether patience is at an end."""
        return self._since >= self._stop.patience

    @property
    def keeps_best(self) -> bool:
        """Whether the run ends with the weights of its best look, not of its last step."""
        return self._keeps
