"""Somebody else's weights in this process: a causal model's answer at one place, or a sequence classifier's label."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from swe_rm import fitting, weights
from swe_rm.errors import CheckpointError
from swe_rm.verifiers.foreign.file import Label
from swe_rm.verifiers.remote.asking import EngineAnswerError
from swe_rm.verifiers.remote.question import Answer, Question, of_logprobs, probability, total

KINDS = frozenset(("llama", "mistral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"))
"""Model types that are read: their code is transformers' own."""

Head = Literal["AutoModelForCausalLM", "AutoModelForSequenceClassification"]


class Causal:
    """The two answers' log-probabilities after a prompt, in fp32 over the whole vocabulary."""

    name = ""
    together = 1

    def __init__(self, network: Any, yes: Sequence[int], no: Sequence[int]) -> None:
        self._network, self._yes, self._no = network, tuple(yes), tuple(no)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`. A prompt that does not fit into memory is an error."""
        (question,) = questions
        logits = _logits(self._network, question, logits_to_keep=1)[0, -1].float()
        found = (logits - logits.logsumexp(-1)).cpu()
        yes, no = (total([float(found[id_]) for id_ in ids]) for ids in (self._yes, self._no))
        return [of_logprobs(yes, no, prompt_tokens=len(question.token_ids))]


class Classifier:
    """The probability of one label of a sequence classifier."""

    name = ""
    together = 1

    def __init__(self, network: Any, label: Label) -> None:
        """Raises CheckpointError for a head of another number of labels."""
        if network.config.num_labels != label.count:
            raise CheckpointError(
                f"the weights have {network.config.num_labels} labels, the verifier file {label.count}"
            )
        self._network, self._label = network, label

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        (question,) = questions
        logits = _logits(self._network, question)[0].float()
        probs = logits.sigmoid() if self._label.activation == "sigmoid" else logits.softmax(-1)
        return [
            Answer(probability(float(probs[self._label.index]), "the label"), prompt_tokens=len(question.token_ids))
        ]


def load_weights(folder: Path, head: Head, options: dict[str, Any]) -> Any:
    """A network of one of KINDS, from safetensors and JSON alone; `options` are dtype, device and device_map.

    fp32 on CPU and bf16 elsewhere unless dtype says otherwise. Raises CheckpointError for a folder that is missing,
    cut short or of another architecture, and for weights that are not exactly those that config.json describes;
    VerifierError for a device that is not here.
    """
    _, transformers = weights.libraries()
    from safetensors import SafetensorError

    _check(folder)
    device_map = options.get("device_map")
    device, dtype = weights.placed(options.get("device"), device_map, options.get("dtype"))
    try:
        network, found = weights.read(getattr(transformers, head), folder, dtype, device_map)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: the weights cannot be read: {' '.join(str(error).split())[:300]}") from None
    odd = [*found["missing_keys"], *(str(key[0]) for key in found["mismatched_keys"]), *found["unexpected_keys"]]
    if odd:
        raise CheckpointError(f"{folder}: {len(odd)} weights are not those of {head} by config.json: {sorted(odd)[0]}")
    return (network if device_map is not None else network.to(device)).eval()


def numbers_of(network: Any) -> str:
    """What a verifier's name ends in for weights that are not fp32."""
    dtype = str(network.dtype).removeprefix("torch.")
    return "" if dtype == "float32" else f"+{dtype}"


def _check(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{folder}: no config.json in this folder")
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise CheckpointError(f"{config}: not a JSON object") from None
    if kind not in KINDS:
        raise CheckpointError(f"{folder}: model_type is {kind!r}; read are {', '.join(sorted(KINDS))}")
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder}: no .safetensors weights (pickled weights are never read)")


def _logits(network: Any, question: Question, **options: Any) -> Any:
    import torch

    ids = torch.tensor([question.token_ids], device=network.get_input_embeddings().weight.device)
    try:
        with torch.inference_mode():
            found = network(input_ids=ids, use_cache=False, **options).logits
    except (RuntimeError, MemoryError) as error:
        if not fitting.is_out_of_memory(error):
            raise
        raise EngineAnswerError(f"{len(question.token_ids):,} tokens do not fit into memory") from None
    if not bool(torch.isfinite(found).all()):
        raise EngineAnswerError("the model answered with NaN or infinite logits")
    return found
