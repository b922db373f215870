"""The forward of a Qwen3-MoE for verdicts alone: what no verdict depends on is never computed.

It walks over the modules of a transformers network. Keys and values are made for all tokens and held for one layer at
a time, unless a sequence that grows is read (`Kept`). In the last layer, queries, output projection, experts and the
final norm are made for label rows only, which is exact. Token-wise work goes in tiles, so that memory grows with the
row by its hidden states, keys and values alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.attention import Attend, last_pieces, pieces
from swe_rm.batch import Row, Tokens

if TYPE_CHECKING:
    import torch

Network = Any
"""A transformers Qwen3MoeForCausalLM; its own annotations are unions too wide to check anything by."""


class Tiles(NamedTuple):
    """How much of a row is worked on at once."""

    tokens: int = 16_384
    """Of token-wise work: projections and experts."""
    queries: int | None = None
    """Of attention; None for all of a row. A tile's queries see the keys before it whole, merged in fp32."""


def suited(device: "torch.device") -> Tiles:
    """Tiles for a device; on CPU temporaries stay small enough that the allocator keeps them between uses."""
    return Tiles(1_024) if device.type == "cpu" else Tiles()


Join = Callable[["torch.Tensor", "torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]]
"""Keys and values of the tokens a row reads, [1, key heads, tokens, head dim], with those of the tokens before them."""


class Kept:
    """Keys and values of the sequence read last, layer by layer: one that begins like it reads only what is new."""

    def __init__(self) -> None:
        self.length = 0
        """Tokens of the next sequence that need not be read."""
        self._tokens: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def begin(self, tokens: Tokens) -> None:
        """Keep what these begin with, their last token excepted: something must be read to be answered at."""
        new = np.asarray(tokens, np.int64)
        most = min(len(self._tokens), len(new) - 1)
        differing = np.flatnonzero(self._tokens[:most] != new[:most])
        self.length = int(differing[0]) if len(differing) else most
        self._tokens = new

    def join(self, layer: int) -> Join:
        """How a layer's new keys and values go behind the old ones; they are kept with them."""

        def joined(key: "torch.Tensor", value: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
            import torch

            if self.length:
                old = (part[:, :, : self.length] for part in self._layers[layer])
                key, value = (torch.cat(pair, dim=2) for pair in zip(old, (key, value), strict=True))
            self._layers[layer] = (key, value)
            return key, value

        return joined


def label_states(network: Network, row: Row, attend: Attend, tiles: Tiles, kept: Kept | None = None) -> "torch.Tensor":
    """Final hidden states after the last token of each sequence of a row, [sequences, hidden], without gradients.

    With `kept` the row is one sequence, the one it was told of last, and only what is new in it is read.
    """
    import torch

    backbone = network.model
    start = kept.length if kept else 0
    ids = torch.as_tensor(row.token_ids[start:], device=backbone.embed_tokens.weight.device)
    hidden = backbone.embed_tokens(ids)
    positions = torch.as_tensor(row.position_ids[start:], device=hidden.device)[None]
    angles = backbone.rotary_emb(hidden[None], positions)
    turn = _Turn(angles[0][0][:, None], angles[1][0][:, None])
    labels = torch.as_tensor(row.ends, device=hidden.device) - 1 - start
    joins = [kept.join(number) if kept else _alone for number in range(len(backbone.layers))]
    for layer, join in zip(backbone.layers[: len(backbone.layers) - 1], joins, strict=False):
        hidden, turn = _at(layer, hidden, turn)
        _through(layer, hidden, turn, row, attend, tiles, join)
    last = backbone.layers[-1]
    hidden, turn = _at(last, hidden, turn)
    states = _labels_through(last, hidden, turn, row, labels.to(hidden.device), attend, tiles, joins[-1])
    return _normed(backbone.norm, states)


def _alone(key: "torch.Tensor", value: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    return key, value


class _Turn(NamedTuple):
    """Cosine and sine of the rotary positions, each [tokens, 1, head dim]."""

    cos: "torch.Tensor"
    sin: "torch.Tensor"

    def __call__(self, heads: "torch.Tensor", where: Any) -> "torch.Tensor":
        """Rotate [tokens, heads, head dim], the tokens at `where` of the row."""
        half = heads.shape[-1] // 2
        sin = self.sin[where]
        turned = heads * self.cos[where]
        turned[..., :half].addcmul_(heads[..., half:], sin[..., :half], value=-1)
        turned[..., half:].addcmul_(heads[..., :half], sin[..., half:])
        return turned


def _at(layer: Any, hidden: "torch.Tensor", turn: _Turn) -> tuple["torch.Tensor", _Turn]:
    """The same on the device that computes a layer: accelerate's hook names it where weights are spread or kept off."""
    hook = getattr(layer, "_hf_hook", None)
    device = getattr(hook, "execution_device", None)
    device = layer.input_layernorm.weight.device if device is None else device
    return hidden.to(device), _Turn(turn.cos.to(device), turn.sin.to(device))


def _through(
    layer: Any, hidden: "torch.Tensor", turn: _Turn, row: Row, attend: Attend, tiles: Tiles, join: Join
) -> None:
    """One layer over all tokens that a row reads; `hidden`, [tokens, hidden], is overwritten."""
    total = len(hidden)
    normed = [_normed(layer.input_layernorm, hidden[part]) for part in _tiled(0, total, tiles.tokens)]
    key, value = join(*_keys_and_values(layer.self_attn, normed, turn, total, tiles))
    before = key.shape[2] - total
    for block in _tiled(0, total, tiles.queries or total):
        query = _queries(layer.self_attn, normed, turn, block, tiles)
        if block.stop == total:
            normed.clear()
        runs = pieces(row.spans, before + block.start, before + block.stop)
        mixed = attend(query, key, value, runs, layer.self_attn.scaling)
        del query
        for part in _tiled(block.start, block.stop, tiles.tokens):
            own = mixed[:, :, part.start - block.start : part.stop - block.start]
            hidden[part] = _rest(layer, hidden[part], own)


def _labels_through(
    layer: Any,
    hidden: "torch.Tensor",
    turn: _Turn,
    row: Row,
    labels: "torch.Tensor",
    attend: Attend,
    tiles: Tiles,
    join: Join,
) -> "torch.Tensor":
    """The last layer: keys and values of all tokens, everything else for the labels; [labels, hidden]."""
    total = len(hidden)
    normed = [_normed(layer.input_layernorm, hidden[part]) for part in _tiled(0, total, tiles.tokens)]
    key, value = join(*_keys_and_values(layer.self_attn, normed, turn, total, tiles))
    rows = hidden[labels]
    chosen = _normed(layer.input_layernorm, rows)
    query = _heads(layer.self_attn.q_proj, layer.self_attn.q_norm, chosen, layer.self_attn)
    ends = set(row.ends)
    runs = last_pieces([span for span in row.spans if span.end in ends])
    mixed = attend(turn(query, labels).transpose(0, 1)[None], key, value, runs, layer.self_attn.scaling)
    return _rest(layer, rows, mixed)


def _keys_and_values(
    attention: Any, normed: Sequence["torch.Tensor"], turn: _Turn, total: int, tiles: Tiles
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """[1, key heads, tokens, head dim], twice."""
    keys, values = [], []
    for states, part in zip(normed, _tiled(0, total, tiles.tokens), strict=True):
        keys.append(turn(_heads(attention.k_proj, attention.k_norm, states, attention), part))
        values.append(_heads(attention.v_proj, None, states, attention))
    return _joined(keys).transpose(0, 1)[None], _joined(values).transpose(0, 1)[None]


def _queries(
    attention: Any, normed: Sequence["torch.Tensor"], turn: _Turn, block: slice, tiles: Tiles
) -> "torch.Tensor":
    """[1, heads, queries, head dim] of a block of tokens; tiles of queries are cut out of tiles of tokens."""
    found = []
    for number, states in enumerate(normed):
        first = number * tiles.tokens
        a, b = max(block.start, first), min(block.stop, first + len(states))
        if a < b:
            own = _heads(attention.q_proj, attention.q_norm, states[a - first : b - first], attention)
            found.append(turn(own, slice(a, b)))
    return _joined(found).transpose(0, 1)[None]


def _heads(projection: Any, norm: Any, states: "torch.Tensor", attention: Any) -> "torch.Tensor":
    """[tokens, heads, head dim]"""
    heads: torch.Tensor = projection(states).view(len(states), -1, attention.head_dim)
    return heads if norm is None else _normed(norm, heads)


def _rest(layer: Any, hidden: "torch.Tensor", mixed: "torch.Tensor") -> "torch.Tensor":
    """What follows attention in a layer: [tokens, hidden] and [1, heads, tokens, head dim] -> [tokens, hidden]."""
    added = hidden + layer.self_attn.o_proj(mixed[0].transpose(0, 1).flatten(1))
    done: torch.Tensor = added + layer.mlp(_normed(layer.post_attention_layernorm, added)[None])[0]
    return done


def _normed(norm: Any, states: "torch.Tensor") -> "torch.Tensor":
    """A Qwen3MoeRMSNorm in half of its passes over memory: 33x quicker on 4,096 x 256 in fp32 on CPU.

    One whose weights accelerate brings in for its call is called.
    """
    import torch

    if hasattr(norm, "_hf_hook"):
        done: torch.Tensor = norm(states)
        return done
    size = torch.linalg.vector_norm(states, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(size.square_().div_(states.shape[-1]).add_(norm.variance_epsilon))
    return (states * scale).to(states.dtype).mul_(norm.weight)


def _joined(parts: Sequence["torch.Tensor"]) -> "torch.Tensor":
    import torch

    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _tiled(start: int, end: int, size: int) -> Iterator[slice]:
    for at in range(start, end, size):
        yield slice(at, min(at + size, end))
