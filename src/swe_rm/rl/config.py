"""RLConfig: one run of reinforcement learning as a value, read from YAML, with a digest that says what decides it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from swe_rm import config_file
from swe_rm.errors import SweRmError
from swe_rm.playground import deciding
from swe_rm.playground.policies import POLICIES
from swe_rm.playground.world import TASKS
from swe_rm.reward import Kind, Reward
from swe_rm.trajectory import Noun

_HASHED = 2**20
"""Bytes of a file of weights, at each end."""


class Network(Noun):
    """The size of the policy: a Llama of random weights."""

    hidden: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    words: int = Field(default=400, ge=0)
    """Most frequent words of the training tasks' edits that have a token of their own."""

    @model_validator(mode="after")
    def _shared_out(self) -> "Network":
        if self.hidden % (2 * self.heads):
            raise ValueError(f"{self.heads} heads need a hidden size that is a multiple of {2 * self.heads}")
        return self


class Warmup(Noun):
    """Imitation of the scripted policies, which is where every arm begins: reinforcement needs some success."""

    policies: dict[str, float] = Field(default={"careful": 8, "hasty": 1, "liar": 1, "test-editor": 1, "looper": 1})
    """Their shares of the sessions."""
    sessions: int = Field(default=3, ge=1)
    """At each training task."""
    looks: float = Field(default=0.25, ge=0, le=1)
    """Share of the scripts' views and searches that are kept: the policy reads nothing there, and a step is a step."""
    epochs: int = Field(default=20, ge=1)
    """Each shows a session with its edits listed in another order."""
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, allow_inf_nan=False)
    seed: int = 0

    @field_validator("policies")
    @classmethod
    def _known(cls, found: dict[str, float]) -> dict[str, float]:
        if unknown := [name for name in found if name not in POLICIES]:
            raise ValueError(f"no such policy: {', '.join(unknown)}; there are {', '.join(POLICIES)}")
        if not found or min(found.values()) <= 0:
            raise ValueError("shares must be positive")
        return found


class Evaluation(Noun):
    """How often, and on how much, the policy is measured by tests."""

    every: int = Field(default=10, ge=1)
    """Batches of attempts between two looks; before the first and after the last it is looked at too."""
    tasks: int = Field(default=8, ge=1)
    """Of each package and split, at most."""
    attempts: int = Field(default=1, ge=1)
    """At each task."""
    final_attempts: int = Field(default=2, ge=1)
    """At each task, in the first look and the last."""
    anew: int = Field(default=32, ge=0)
    """Attempts of the last look that are made again with every command and test run, whatever is remembered of them; in
    whole batches of 32."""


class RLConfig(Noun):
    """One run, complete: the same config in the same world gives the same curve on the same machine."""

    name: str
    out: Path
    world: Path
    """What `playground make` wrote."""
    cache: Path | None = None
    """Where warmed-up policies are kept, and what commands gave, for all arms and seeds; beside `out` if not given."""
    reward: Kind = "hybrid"
    gamma: float = 0.75
    """Of `mix`."""
    clip_score: tuple[float, float] = (0.0, 1.0)
    centre: float = 0.0
    verifier: str | None = None
    """Any that `rank --verifier` knows, which is then served in this process, or the URL of a `swe-rm serve`."""
    level: Literal["sequence", "token"] = "sequence"
    """What has an importance ratio: a sequence (GSPO) or each of its tokens (GRPO)."""
    clip: tuple[float, float] = (0.05, 0.05)
    """Below and above a ratio of 1. An attempt here has a handful of tokens: the mean of their log-ratios moves a
    hundred times further than that of an answer of thousands, for which GSPO's paper clips at 3e-4 and 4e-4."""
    batches: int = Field(default=50, ge=1)
    """Of attempts."""
    groups: int = Field(default=8, ge=1)
    """Tasks of a batch."""
    group_size: int = Field(default=8, ge=2)
    updates: int = Field(default=2, ge=1)
    """Steps of the optimiser that a batch is split into."""
    learning_rate: float = Field(default=5e-4, gt=0, allow_inf_nan=False)
    """At its highest; it rises at the start and falls to 0 at the end."""
    step_limit: int = Field(default=24, ge=1)
    """Of an attempt: enough to try six of eight edits."""
    seed: int = 0
    workers: int = Field(default=2, ge=1)
    """Attempts at work at once."""
    save_every: int = Field(default=5, ge=1)
    """Batches; a run that was killed goes on from there."""
    network: Network = Network()
    warmup: Warmup = Warmup()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _hangs_together(self) -> "RLConfig":
        if (self.reward == "execution-based") == bool(self.verifier):
            raise ValueError(
                "reward: execution-based uses no verifier" if self.verifier else f"reward: {self.reward} needs verifier"
            )
        if self.groups * self.group_size % self.updates:
            raise ValueError("groups * group_size must be a multiple of updates")
        if not (0 < self.clip[0] < 1 and self.clip[1] > 0):
            raise ValueError("clip: the first below 1, both above 0")
        self.shaping()
        return self

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> "RLConfig":
        """Read a YAML file; each override is `key=value` or `key.sub=value`, the value in YAML.

        Raises SweRmError naming the file and key when something is unknown, missing or out of range.
        """
        return config_file.load(cls, path, overrides, "a config of reinforcement learning")

    def shaping(self) -> Reward:
        """How a score and an outcome become the reward. Raises ValueError when out of range."""
        return Reward(self.reward, self.gamma, self.clip_score, self.centre)

    def digest(self) -> str:
        """Hex digest of what decides the curve: where files lie and how many work at once does not.

        Raises SweRmError where a file that the verifier is read from cannot be.
        """
        content = self.model_dump(mode="json", exclude={*_PLACES, *NOT_DECIDING})
        return _digest({**content, "tasks": self._tasks(), "code": _code(), "weights": _content(self.verifier)})

    def warmup_digest(self) -> str:
        """Of what decides the policy that a run begins with."""
        content = self.model_dump(mode="json", include={"network", "warmup", "step_limit"})
        return _digest({**content, "tasks": self._tasks(), "code": _code()})

    @property
    def warm_folder(self) -> Path:
        """Where the policy that a run begins with is kept."""
        return self._shared / f"warm-{self.warmup_digest()}"

    @property
    def memory_file(self) -> Path:
        """Where is kept what commands gave."""
        return self._shared / "commands.sqlite"

    @property
    def _shared(self) -> Path:
        return self.cache or self.out.parent

    def _tasks(self) -> str:
        return hashlib.sha256((self.world / TASKS).read_bytes()).hexdigest()


NOT_DECIDING = frozenset({"name", "workers", "save_every"})
"""Keys that no curve follows from."""
_PLACES = frozenset({"out", "world", "cache"})


def _code() -> str:
    """Of the code that decides what a policy is offered and told, what it imitates, and what that comes to."""
    mine = frozenset(Path(__file__).with_name(name) for name in ("warmup.py", "wording.py"))
    return deciding.digest(deciding.SCRIPTS | deciding.RUNS, mine)


def _content(verifier: str | None) -> list[tuple[str, int, str]]:
    """Names, sizes and hashes of the files that a verifier is read from: others may come to lie there.

    Of long files the hash is of the first and the last megabyte.
    """
    from swe_rm.verifiers import files

    found = []
    for path in files(verifier) if verifier else ():
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                begin = file.read(_HASHED)
                file.seek(max(file.tell(), size - _HASHED))
                found.append((path.name, size, hashlib.sha256(begin + file.read()).hexdigest()))
        except OSError as error:
            raise SweRmError(f"{path}: {error.strerror}") from None
    return found


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
