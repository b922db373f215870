"""The policy that learns: a small Llama of random weights, and how it is asked for the next action of many attempts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_rm.errors import SweRmError
from swe_rm.rl.config import Network
from swe_rm.rl.wording import PAD, Wording

if TYPE_CHECKING:
    import torch

_WORDING = "wording.json"
_LONGEST = 512
"""Tokens of an attempt; a prompt has about a hundred, a turn three."""


def create(shape: Network, wording: Wording, seed: int) -> Any:
    """A causal language model of transformers with random weights."""
    import torch

    transformers = _transformers()
    config = transformers.LlamaConfig(
        vocab_size=len(wording.words),
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=_LONGEST,
        tie_word_embeddings=True,
        pad_token_id=wording.ids[PAD],
        bos_token_id=None,
        eos_token_id=wording.ends,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.LlamaForCausalLM(config)


def save(network: Any, wording: Wording, folder: Path) -> None:
    """Write weights and vocabulary into a folder."""
    network.save_pretrained(folder)
    wording.save(folder / _WORDING)


def load(folder: Path) -> tuple[Any, Wording]:
    """What `save` wrote. Raises SweRmError for a folder that holds no policy, or not a whole one."""
    from safetensors import SafetensorError

    if not (folder / "config.json").is_file():
        raise SweRmError(f"{folder}: holds no policy (`rl train` writes one to OUT/policy)")
    try:
        return _transformers().LlamaForCausalLM.from_pretrained(folder), Wording.read(folder / _WORDING)
    except (OSError, ValueError, SafetensorError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise SweRmError(f"{folder}: holds no whole policy: {reason}") from None


def _transformers() -> Any:
    import transformers

    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()  # how far a run is its own lines say
    return transformers


def tokenizer(wording: Wording) -> Any:
    """The vocabulary as transformers has it: TRL writes it beside weights and reads tokens as text with it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel(wording.ids, unk_token=wording.words[1]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kind: Any = PreTrainedTokenizerFast
    return kind(
        tokenizer_object=made, pad_token=PAD, unk_token=wording.words[1], eos_token=wording.words[wording.ends[0]]
    )


class Speaker:
    """Draws the next token of many attempts at once; what was read is kept, so a turn reads three tokens."""

    def __init__(self, network: Any, pad: int, seed: int) -> None:
        """Equal seeds and weights give equal words."""
        import torch

        self._network = network
        self._pad = pad
        self._dice = torch.Generator().manual_seed(seed)
        self._past: Any = None
        self._mask: torch.Tensor | None = None

    def first(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """A token for each prompt. These may differ in length."""
        import torch

        longest = max(map(len, prompts))
        rows = torch.tensor([[self._pad] * (longest - len(prompt)) + [*prompt] for prompt in prompts])
        self._past = None
        self._mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        return self._drawn(rows)

    def next(self, more: Sequence[Sequence[int]]) -> list[int]:
        """A token for each attempt after what was said and seen since; as many tokens for each."""
        import torch

        assert self._mask is not None
        rows = torch.tensor(more)
        self._mask = torch.cat([self._mask, torch.ones_like(rows)], dim=1)
        return self._drawn(rows)

    def _drawn(self, rows: "torch.Tensor") -> list[int]:
        """[attempts, tokens] -> a token each."""
        import torch

        device = self._network.device
        was_training = self._network.training
        self._network.eval()
        with torch.no_grad():
            assert self._mask is not None
            out = self._network(
                input_ids=rows.to(device),
                attention_mask=self._mask.to(device),
                past_key_values=self._past,
                use_cache=True,
                logits_to_keep=1,
            )
        self._network.train(was_training)
        self._past = out.past_key_values
        chances = out.logits[:, -1].double().softmax(-1).cpu()
        return [int(token) for token in torch.multinomial(chances, 1, generator=self._dice)[:, 0]]
