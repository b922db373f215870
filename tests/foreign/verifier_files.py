"""The verifier files of configs/verifiers with tiny weights in place of those they name."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from swe_rm.trajectory import Trajectory
from swe_rm.verifiers import load_verifier
from swe_rm.verifiers.foreign.tokens import Tokens
from swe_rm.verifiers.remote.stand_in import Written
from tests.conftest import attempt

CONFIGS = Path(__file__).parents[2] / "configs" / "verifiers"
JUDGED = ["swe-gym", "deepswe", "swe-lego"]
"""The files whose weights answer YES or NO after <judgement>."""
BROUGHT = {
    "judge-system.txt": "Say whether the work is done.",
    "judge-before.txt": "Here is what happened:",
    "judge-question.txt": "Is it done? YES or NO.",
    "no-patch.txt": "nothing was changed",
    "criterion.txt": "Does the change mend the cause?",
}
"""In our own words, where a user puts somebody else's."""


class Folder:
    """A folder with the verifier files and all they ask a user for."""

    def __init__(self, path: Path, weights: Path) -> None:
        self.path = path
        for file in CONFIGS.iterdir():
            shutil.copy(file, path)
        for name, words in BROUGHT.items():
            (path / name).write_text(words + "\n")
        self.weights = weights

    def file(self, name: str, engine: Mapping[str, Any], **changes: Any) -> Path:
        """The file with another engine, our weights, and these keys changed."""
        content = yaml.safe_load((self.path / f"{name}.yaml").read_text())
        content["engine"] = {**content["engine"], **engine}
        if engine.get("kind") == "transformers":
            content["engine"] = dict(engine)
            content["weights"] = str(self.weights)
        if "tokenizer" in content:
            content["tokenizer"] = str(self.weights)
        content.update(changes)
        path = self.path / f"{name}-here.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    def load(self, name: str, engine: Mapping[str, Any], **changes: Any) -> Any:
        return load_verifier(str(self.file(name, engine, **changes)))


HERE = {"kind": "transformers"}
POOL = [attempt(f"acme__tool-{task}", number=number, turns=1) for task in (0, 1) for number in (1, 2, 3)]


def written(folder: Folder, name: str, trajectory: Trajectory, **changes: Any) -> str:
    """What a file's verifier reads of an attempt, as text."""
    verifier = folder.load(name, HERE, **changes)
    ids = verifier._reader(trajectory).token_ids
    return str(Tokens(folder.weights)._tokenizer.decode(list(ids), skip_special_tokens=False))


def say(text: str) -> list[Written]:
    """A reply, a line a token."""
    return [Written(word, {}) for word in re.split(r"(?<=\n)", text)]
