"""Which weights of a network train: all, all but the routers, or low-rank adapters beside them (through peft)."""

import importlib.util
from typing import Any

from swe_rm.errors import MissingExtraError
from swe_rm.model import Network
from swe_rm.recipe import Lora, TrainConfig

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
"""The experts of a layer are two fused matrices [experts, out, in]: parameters, not modules."""
ROUTER = ".mlp.gate."


def choose(network: Network, config: TrainConfig) -> Any:
    """Mark what the config trains; returns peft's tuner where adapters were put in, to `merge` them later.

    Raises MissingExtraError without peft where the config asks for adapters.
    """
    if config.lora is not None:
        return _add(network, config.lora, config.seed)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not (config.freeze_router and ROUTER in name))
    return None


def _add(network: Network, lora: Lora, seed: int) -> Any:
    """Adapters in fp32 beside frozen weights; their update is zero at first, the first factor drawn by seed."""
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("peft", "train")
    import torch
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(ATTENTION),
        target_parameters=list(EXPERTS) if lora.experts else None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tuner = LoraModel(network, {"default": settings}, "default")
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuner


def merge(network: Network, tuner: Any) -> Network:
    """The network with its adapters added into the weights and gone; as it is where it has none."""
    return network if tuner is None else tuner.merge_and_unload()
