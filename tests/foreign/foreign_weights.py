"""Tiny weights in the shape of other people's: a tokenizer with marks and a chat template, a causal model, a critic."""

import json
from pathlib import Path
from typing import Any

import pytest

from swe_rm.vocabulary import Vocabulary

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer_folder(folder: Path, *lines: str) -> Path:
    """A byte-level tokenizer whose pieces come from these lines, with Qwen's marks and chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [*lines, "user assistant system judgement the and add fails test passed def return"] * 3
    Vocabulary.train(texts, 320).save(folder)
    file = folder / "tokenizer.json"
    description = json.loads(file.read_text())
    count = len(description["model"]["vocab"])
    description["added_tokens"] = [_mark(count + place, text) for place, text in enumerate(MARKS)]
    file.write_text(json.dumps(description))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE, "eos_token": "<|im_end|>"}))
    return folder


def _mark(id_: int, text: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id_, "content": text, "special": True, **flags}


def causal(folder: Path, kind: str = "Qwen2", seed: int = 3, **more: Any) -> Path:
    """A random causal model beside a tokenizer."""
    return _save(folder, kind, "ForCausalLM", seed, **more)


def critic(folder: Path, labels: int = 27) -> Path:
    """A random classifier of so many labels beside a tokenizer."""
    return _save(folder, "Qwen3", "ForSequenceClassification", 3, num_labels=labels, head_dim=16)


def _save(folder: Path, kind: str, head: str, seed: int, **more: Any) -> Path:
    transformers = pytest.importorskip("transformers")
    import torch

    rows = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]) + len(MARKS)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=rows, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=65_536, pad_token_id=None, bos_token_id=None, eos_token_id=None,
        **more,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = getattr(transformers, f"{kind}{head}")(config)
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    return folder
