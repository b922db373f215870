"""Attention over packed rows behind one seam: which keys each run of queries sees, and the back ends that compute it.

A row is never padded and never masked as a whole. It is a list of pieces: a run of queries, the keys of its own tokens,
and earlier keys that it sees whole. Documents, shared prefixes, branches and tiles of a long document are all pieces.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from swe_rm.batch import Span

if TYPE_CHECKING:
    import torch

Backend = Literal["sdpa", "cudnn", "varlen", "flex", "eager"]
"""`sdpa` runs everywhere, `eager` is the slow twin, the others are for CUDA where the installed torch has them."""


class Piece(NamedTuple):
    """A run of queries and what it sees, as (start, end) in the row of queries and in the row of keys."""

    queries: tuple[int, int]
    keys: tuple[int, int]
    """Its own tokens: as many as queries, seen causally; or more, and then one query sees all of them."""
    past: tuple[tuple[int, int], ...] = ()
    """Earlier keys, seen whole by every query."""


Attend = Callable[["torch.Tensor", "torch.Tensor", "torch.Tensor", Sequence[Piece], float], "torch.Tensor"]
"""(query [1, heads, queries, dim], key and value [1, kv heads, keys, dim], pieces, scale) -> like query.

The pieces cover the queries in order. Queries may have a multiple of the keys' heads.
"""


def pieces(spans: Sequence[Span], start: int = 0, end: int | None = None) -> list[Piece]:
    """The pieces of the queries from `start` up to `end` of a row; a span cut there sees its earlier tokens whole."""
    found = []
    for span in spans:
        a, b = max(span.start, start), span.end if end is None else min(span.end, end)
        if a < b:
            earlier = ((span.start, a),) if span.start < a else ()
            found.append(Piece((a - start, b - start), (a, b), (*span.past, *earlier)))
    return found


def last_pieces(spans: Sequence[Span]) -> list[Piece]:
    """The pieces of one query for each span, its last token."""
    return [Piece((at, at + 1), (span.start, span.end), span.past) for at, span in enumerate(spans)]


def choose(device: "torch.device") -> Backend:
    """The back end for a device: cuDNN first on Hopper (631 TFLOP/s, torch's default there does 329), else SDPA."""
    import torch

    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 9:
        return "cudnn"
    return "sdpa"


def offered(device: "torch.device") -> list[Backend]:
    """The back ends that the installed torch has for this device."""
    found: list[Backend] = ["sdpa", "flex", "eager"]
    if device.type == "cuda":
        found.append("cudnn")
        if _varlen_kernel() is not None:
            found.append("varlen")
    return found


def attend(backend: Backend) -> Attend:
    """The function of a back end."""
    return _FUNCTIONS[backend]


def _sdpa(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", runs: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """One SDPA call a document: 7x faster and 7-8x leaner on CPU than one call under a block mask.

    Neighbours that see the same past share one call over it (32 siblings read their prefix at once). The parts are
    merged by their log-sum-exp in fp32: merged in bf16 they move a score by 3e-2.
    """
    import torch

    parts: list[torch.Tensor] = []
    for past, group in groupby(runs, key=lambda piece: piece.past):
        members = list(group)
        if past:
            parts.append(_cascade(query, key, value, members, scale))
        else:
            parts += [_own(query, key, value, piece, scale) for piece in members]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _own(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", piece: Piece, scale: float
) -> "torch.Tensor":
    from torch.nn.functional import scaled_dot_product_attention

    (a, b), (c, d) = piece.queries, piece.keys
    return scaled_dot_product_attention(
        query[:, :, a:b], key[:, :, c:d], value[:, :, c:d], is_causal=_causal(piece), scale=scale, enable_gqa=True
    )


def _causal(piece: Piece) -> bool:
    """A single query is the last of its keys and sees them all."""
    return piece.queries[1] - piece.queries[0] > 1


def _cascade(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", members: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """Pieces of one past: each one's own keys, then the past for all of them at once."""
    import torch

    own = []
    for piece in members:
        (a, b), (c, d) = piece.queries, piece.keys
        own.append(_part(query[:, :, a:b], key[:, :, c:d], value[:, :, c:d], _causal(piece), scale))
    out = torch.cat([part[0] for part in own], dim=2).float()
    weight = torch.cat([part[1] for part in own], dim=2)
    first, last = members[0].queries[0], members[-1].queries[1]
    for a, b in members[0].past:
        more, other = _part(query[:, :, first:last], key[:, :, a:b], value[:, :, a:b], False, scale)
        out = torch.lerp(out, more.float(), torch.sigmoid(other - weight)[..., None])
        weight = torch.logaddexp(weight, other)
    return out.to(query.dtype)


def _part(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", causal: bool, scale: float
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Attention over some of the keys, and the fp32 log-sum-exp [1, heads, queries] that says how much they weigh."""
    import torch

    if query.device.type == "cpu":
        flash: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, weight = flash(query, key, value, 0.0, causal, scale=scale)
        return out, weight
    if query.device.type == "cuda" and query.dtype in (torch.float16, torch.bfloat16):
        flash = torch.ops.aten._scaled_dot_product_flash_attention
        out, weight, *_ = flash(query, key, value, 0.0, causal, False, scale=scale)
        return out, weight
    logits = _logits(query, key, scale)
    if causal:
        logits = logits.masked_fill(_later(logits), float("-inf"))
    weight = torch.logsumexp(logits, dim=-1)
    return _weighted(torch.exp(logits - weight[..., None]), value, query), weight


def _eager(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", runs: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """The slow, obvious twin: every weight of every piece written out, in fp32."""
    import torch

    found = []
    for piece in runs:
        a, b = piece.queries
        seen = [torch.arange(c, d, device=key.device) for c, d in (*piece.past, piece.keys)]
        index = torch.cat(seen)
        logits = _logits(query[:, :, a:b], key[:, :, index], scale)
        if _causal(piece):
            before = index.numel() - (b - a)
            logits[..., before:] = logits[..., before:].masked_fill(_later(logits[..., before:]), float("-inf"))
        found.append(_weighted(torch.softmax(logits, dim=-1), value[:, :, index], query))
    return torch.cat(found, dim=2)


def _logits(query: "torch.Tensor", key: "torch.Tensor", scale: float) -> "torch.Tensor":
    groups = query.shape[1] // key.shape[1]
    return scale * query.float() @ key.float().repeat_interleave(groups, dim=1).transpose(2, 3)


def _weighted(weights: "torch.Tensor", value: "torch.Tensor", query: "torch.Tensor") -> "torch.Tensor":
    groups = query.shape[1] // value.shape[1]
    return (weights @ value.float().repeat_interleave(groups, dim=1)).to(query.dtype)


def _later(logits: "torch.Tensor") -> "torch.Tensor":
    """True where a key comes after its query, both counted from the same token."""
    import torch

    queries, keys = logits.shape[-2:]
    return torch.ones(queries, keys, dtype=torch.bool, device=logits.device).triu(1)


def _cudnn(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", runs: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """SDPA with cuDNN asked first: neither torch nor transformers prefers it on Hopper by itself."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    order = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(order, set_priority=True):
        return _sdpa(query, key, value, runs, scale)


def _varlen(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", runs: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """All pieces in one call of `torch.nn.attention.varlen`."""
    kernel = _varlen_kernel()
    if kernel is None:
        raise ValueError("this torch has no torch.nn.attention.varlen")
    return varlen(query, key, value, runs, scale, kernel)


def varlen(
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    runs: Sequence[Piece],
    scale: float,
    kernel: Callable[..., Any],
) -> "torch.Tensor":
    """All pieces in one call of a kernel with the arguments of `varlen_attn`, which torch has for CUDA alone.

    Keys of a shared past are laid out once for each piece that sees them, keys' heads once for each query head: torch
    2.11 knows no grouped heads here. A piece's last query sees its last key (the kernel aligns the two at the end).
    """
    import torch

    groups = query.shape[1] // key.shape[1]
    seen = [_keys_of(piece, key.device) for piece in runs]
    index = torch.cat(seen)
    ends = [[0], [0]]
    for piece, keys in zip(runs, seen, strict=True):
        ends[0].append(piece.queries[1])
        ends[1].append(ends[1][-1] + keys.numel())
    queries_at, keys_at = (torch.tensor(part, dtype=torch.int32, device=query.device) for part in ends)
    flat = [tensor[0].transpose(0, 1).index_select(0, index).repeat_interleave(groups, 1) for tensor in (key, value)]
    most = [max(b - a for a, b in pairwise(part)) for part in ends]
    out: torch.Tensor = kernel(
        query[0].transpose(0, 1).contiguous(), *flat, queries_at, keys_at, *most, scale=scale, window_size=(-1, 0)
    )
    return out.transpose(0, 1)[None]


def _keys_of(piece: Piece, device: "torch.device") -> "torch.Tensor":
    import torch

    return torch.cat([torch.arange(a, b, device=device) for a, b in (*piece.past, piece.keys)])


@cache
def _varlen_kernel() -> Callable[..., Any] | None:
    import inspect

    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn if {"scale", "window_size"} <= inspect.signature(varlen_attn).parameters.keys() else None


def _flex(
    query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", runs: Sequence[Piece], scale: float
) -> "torch.Tensor":
    """One call of flex attention under a block mask; compiled on CUDA, as its maker means it (slow elsewhere)."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    most = max(len(piece.past) for piece in runs)
    rows = [row for piece in runs for row in _flex_rows(piece, most)]
    first, last, *past = torch.tensor(rows, device=query.device).T

    def visible(_: Any, __: Any, at: Any, seen: Any) -> Any:
        found = (seen >= first[at]) & (seen <= last[at])
        for start, end in zip(past[::2], past[1::2], strict=True):
            found = found | ((seen >= start[at]) & (seen < end[at]))
        return found

    mask = create_block_mask(visible, None, None, query.shape[2], key.shape[2], device=str(query.device))
    kernel: Any = _compiled(flex_attention) if query.device.type == "cuda" else flex_attention
    out: torch.Tensor = kernel(query, key, value, block_mask=mask, scale=scale, enable_gqa=True)
    return out


def _flex_rows(piece: Piece, most: int) -> Iterator[list[int]]:
    """For each query of a piece: its first and last own key, and the bounds of `most` pasts, some of them empty."""
    (a, b), (c, d) = piece.queries, piece.keys
    past = [bound for part in piece.past for bound in part] + [0, 0] * (most - len(piece.past))
    for last in range(d - (b - a), d):
        yield [c, last, *past]


@cache
def _compiled(function: Callable[..., Any]) -> Any:
    import torch

    return torch.compile(function, dynamic=True)


_FUNCTIONS: dict[Backend, Attend] = {
    "sdpa": _sdpa,
    "cudnn": _cudnn,
    "varlen": _varlen,
    "flex": _flex,
    "eager": _eager,
}


PACKED = "swe_rm_packed"
"""Name under which the packed attention is known to transformers."""


def use_packed(network: Any, backend: Backend | None = None) -> None:
    """Switch a network's own forward to packed attention: causal, sequence by sequence, with no mask and no padding.

    The forward then takes `document_ends`, the ends of the sequences of its row, or `spans`. Without a back end it is
    the one that suits the device of each call.
    """
    name = f"{PACKED}_{backend}" if backend else PACKED
    if network.config._attn_implementation == name:
        return
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(name, _in_transformers(backend))
    AttentionMaskInterface.register(name, _no_mask)
    network.set_attn_implementation(name)


def _in_transformers(backend: Backend | None) -> Callable[..., Any]:
    def forward(
        module: "torch.nn.Module",
        query: "torch.Tensor",
        key: "torch.Tensor",
        value: "torch.Tensor",
        attention_mask: None,
        scaling: float,
        document_ends: Sequence[int] = (),
        spans: Sequence[Span] = (),
        **_: Any,
    ) -> tuple["torch.Tensor", None]:
        """[1, heads, tokens, dim] -> [1, tokens, heads, dim], as transformers hands it over and wants it back."""
        runs = pieces(spans or list(_documents(document_ends)))
        function = attend(backend or choose(query.device))
        return function(query, key, value, runs, scaling).transpose(1, 2), None

    return forward


def _documents(ends: Sequence[int]) -> Iterator[Span]:
    for start, end in pairwise([0, *ends]):
        yield Span(start, end)


def _no_mask(*_: Any, **__: Any) -> None:
    return None
