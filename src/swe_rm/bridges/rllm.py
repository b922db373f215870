"""rLLM: `import_path = "swe_rm.bridges.rllm:evaluate"` under `[verifier]`, or `:hybrid_evaluate`.

The log is what the last call to the model was given and gave; `episode.artifacts` holds the attempt's diff as
`model_patch`.
"""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt
from swe_rm.reward import Reward, is_finished


@cache
def client() -> Client:
    """One for this process. rLLM waits for an evaluator as long as it takes."""
    return Client(deadline=100)


def evaluate(task: Any, episode: Any) -> Any:
    """An `EvalOutput` with P(resolved) as its reward; raises where there is none, and rLLM tries the rollout again."""
    from rllm.eval.types import EvalOutput, Signal

    log, patch = episode.trajectories[-1].steps[-1].chat_completions, episode.artifacts.get("model_patch")
    issue = task.metadata.get("problem_statement")
    (score,) = client().score([attempt(log, patch=patch, instance_id=task.id, statement=issue)])
    return EvalOutput(reward=score, is_correct=score >= 0.5, signals=[Signal(name="swe_rm", value=score)])


def hybrid_evaluate(task: Any, episode: Any) -> Any:
    """The same with what the tests said, `resolved` of the artifacts, and with `finished`; see `reward.Reward`."""
    from rllm.eval.types import EvalOutput

    judged, held = evaluate(task, episode), episode.artifacts
    reward = Reward()(judged.reward, held.get("resolved"), finished=is_finished(held))
    return EvalOutput(reward=reward, is_correct=held.get("resolved") is True, signals=judged.signals)
