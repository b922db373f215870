"""The weights of a Qwen3-MoE folder, read into a network: safetensors and JSON alone, and nothing is made up."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any, Literal

from swe_rm import experts as swe_rm_experts
from swe_rm.decoder import Network
from swe_rm.errors import CheckpointError, MissingExtraError, VerifierError
from swe_rm.experts import Experts

DType = Literal["float32", "bfloat16", "float16"]
SPREADS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Words for a device map that accelerate works out."""


def libraries() -> tuple[Any, Any]:
    """torch and transformers. Raises MissingExtraError without them."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "model") from None
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()  # progress is the command line's to show
    return torch, transformers


def load_network(
    folder: Path,
    *,
    dtype: DType | None = None,
    device: str | None = None,
    device_map: str | dict[str, Any] | None = None,
    experts: Experts | None = None,
) -> Network:
    """Load the weights of any Qwen3-MoE folder. Only safetensors and JSON are read; no code, no pickle.

    fp32 on CPU and bf16 elsewhere unless `dtype` says otherwise. Raises CheckpointError where a file is missing, cut
    short or of another architecture, and where the weights are not exactly those that config.json describes;
    VerifierError for a device that is not here.
    """
    _, transformers = libraries()
    from safetensors import SafetensorError

    _check_files(folder)
    if device_map is not None and importlib.util.find_spec("accelerate") is None:
        raise MissingExtraError("accelerate", "train")
    where, numbers = placed(device, device_map, dtype)
    config = _config(folder)
    try:
        network, found = read(transformers.Qwen3MoeForCausalLM, folder, numbers, device_map, config=config)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder}: the weights cannot be read: {' '.join(str(error).split())}") from None
    except ValueError as error:  # of accelerate, for a map that leaves weights without a device or room
        if device_map is None:
            raise
        raise VerifierError(f"device map {device_map}: {' '.join(str(error).split())}") from None
    _refuse_other_weights(folder, found)
    swe_rm_experts.use(network, experts or "auto")
    if device_map is None:
        network.to(where)
    return network.eval()


def read(head: Any, folder: Path, dtype: str, device_map: Any, **more: Any) -> tuple[Any, dict[str, Any]]:
    """A network of a class of transformers, and what its weights lacked, had beside or had in another shape.

    Safetensors of this folder alone, no code of anybody's. Raises what transformers raises.
    """
    torch, transformers = libraries()
    logging = transformers.utils.logging
    loud = logging.get_verbosity()
    logging.set_verbosity_error()  # its table of odd weights; whoever asks names them
    try:
        found: tuple[Any, dict[str, Any]] = head.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map=device_map,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # whoever asks refuses them, in one line
            output_loading_info=True,
            **more,
        )
    finally:
        logging.set_verbosity(loud)
    return found


def digest(folder: Path) -> bytes:
    """Digest of a folder's safetensors, of a sample of each tensor.

    Two bases may differ in routers alone, and 61 GB are not read twice for a name.
    """
    from safetensors import safe_open

    found = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as content:
            for name in sorted(content.keys()):
                rows = content.get_slice(name)
                shape = rows.get_shape()
                found.update(f"{name} {shape}".encode())
                found.update(_bytes(rows[shape[0] // 2 : shape[0] // 2 + 1] if shape else content.get_tensor(name)))
    return found.digest()


def _bytes(tensor: Any) -> bytes:
    import torch

    data: bytes = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    return data


def placed(device: str | None, device_map: str | dict[str, Any] | None, dtype: str | None) -> tuple[str, str]:
    """(device, dtype) of weights, with what is not given: a GPU if there is one; fp32 where all is on CPU, else bf16.

    Raises VerifierError for a device that is not here.
    """
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return device, dtype or ("float32" if _on_cpu(device if device_map is None else device_map) else "bfloat16")


def _on_cpu(device: str | dict[str, Any]) -> bool:
    """Whether all of a device, or of a device map, is the CPU. Raises VerifierError for one that is not here."""
    import torch

    if device in SPREADS:
        return not torch.cuda.is_available()
    kinds = set()
    for name in device.values() if isinstance(device, dict) else [device]:
        if name == "disk":
            continue
        try:
            there = torch.zeros(1, device=name)
            there.cpu()  # `meta` holds nothing
            kinds.add(there.device.type)
        except (RuntimeError, AssertionError, NotImplementedError):  # which of them depends on torch's build
            raise VerifierError(
                f"no device {name!r} for torch here ({torch.cuda.device_count()} GPUs); there is cpu, cuda, cuda:0, "
                f"{', '.join(SPREADS)}"
            ) from None
    return kinds <= {"cpu"}


def _config(folder: Path) -> Any:
    """The config of a checkpoint. Raises CheckpointError where its values are of no Qwen3-MoE."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import Qwen3MoeConfig

    try:
        config = Qwen3MoeConfig.from_pretrained(folder, local_files_only=True)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {' '.join(str(error).split())}") from None
    if not 0 < config.num_experts_per_tok <= config.num_experts:
        raise CheckpointError(
            f"{folder / 'config.json'}: {config.num_experts_per_tok} of {config.num_experts} experts a token"
        )
    return config


def _refuse_other_weights(folder: Path, found: dict[str, Any]) -> None:
    """Raises CheckpointError for weights that were left as random numbers, or were not used, on loading."""
    troubles = {
        "is missing": sorted(found["missing_keys"]),
        "has another shape than config.json says": sorted(str(key[0]) for key in found["mismatched_keys"]),
        "is not part of a Qwen3-MoE of this config.json": sorted(found["unexpected_keys"]),
    }
    for trouble, names in troubles.items():
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise CheckpointError(f"{folder}: the weight {names[0]}{more} {trouble}")


def _check_files(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{folder}: no config.json in this checkpoint")
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        kind = settings.get("model_type")
    except (ValueError, AttributeError):
        raise CheckpointError(f"{config}: not a JSON object") from None
    if kind != "qwen3_moe":
        raise CheckpointError(f"{folder}: model_type is {kind!r}, swe-rm reads qwen3_moe")
    if settings.get("sliding_window") and settings.get("use_sliding_window"):
        raise CheckpointError(f"{folder}: attention within a sliding window is not read")
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder}: no .safetensors weights (pickled weights are never read)")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        _refuse_missing_shards(index)


def _refuse_missing_shards(index: Path) -> None:
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{index}: not an index of shards") from None
    if missing := sorted(name for name in shards if not (index.parent / name).is_file()):
        raise CheckpointError(f"{index}: the shard {missing[0]} is missing ({len(missing)} of {len(shards)} are)")
