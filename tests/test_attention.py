"""Every attention back end gives what the slow twin gives, whatever the row is made of and however it is tiled."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import attention
from swe_rm.attention import Backend, Piece
from swe_rm.batch import Part, Span, lay

SCALE = 16**-0.5


def heads(tokens: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Query, key and value of a row: 4 heads over 2."""
    dice = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(1, n, tokens, 16, generator=dice).to(dtype) for n in (4, 2, 2))


def visible(spans: Sequence[Span]) -> torch.Tensor:
    """Which keys each token sees, by the definition of a span; [tokens, tokens]."""
    mask = torch.zeros(spans[-1].end, spans[-1].end, dtype=torch.bool)
    for span in spans:
        for at in range(span.start, span.end):
            mask[at, span.start : at + 1] = True
            for start, end in span.past:
                mask[at, start:end] = True
    return mask


def by_mask(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The twin of the twin: one softmax over all keys under a mask."""
    key, value = (tensor.repeat_interleave(2, 1) for tensor in (key, value))
    logits = (SCALE * query @ key.transpose(2, 3)).masked_fill(~mask, float("-inf"))
    return torch.softmax(logits, -1) @ value


def slow_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor,
    most_queries: int, most_keys: int, *, scale: float, window_size: tuple[int, int],
) -> torch.Tensor:  # fmt: skip
    """What torch's varlen kernel does on CUDA: causal, the last query of a piece beside its last key."""
    assert window_size == (-1, 0)
    out = []
    for (a, b), (c, d) in zip(itertools.pairwise(queries.tolist()), itertools.pairwise(keys.tolist()), strict=True):
        assert b - a <= most_queries
        assert d - c <= most_keys
        logits = scale * torch.einsum("qhd,khd->hqk", query[a:b], key[c:d])
        late = torch.ones(b - a, d - c, dtype=torch.bool).triu(d - c - (b - a) + 1)
        out.append(torch.einsum("hqk,khd->qhd", torch.softmax(logits.masked_fill(late, float("-inf")), -1), value[c:d]))
    return torch.cat(out)


def run(backend: str, *inputs: Any) -> torch.Tensor:
    if backend == "varlen":
        return attention.varlen(*inputs, slow_kernel)
    return attention.attend(backend)(*inputs)  # type: ignore[arg-type]


@st.composite
def rows(draw: st.DrawFn) -> tuple[Span, ...]:
    """Sequences of their own, trees, branches of branches, and logs with a branch after some of their turns."""
    parts: list[Part] = []
    size = 0
    for kind in draw(st.lists(st.sampled_from(["alone", "tree", "levels", "turns"]), min_size=1, max_size=3)):
        length, start = draw(st.integers(1, 12)), size
        parts.append(Part(range(length)))
        size += length
        past: tuple[tuple[int, int], ...] = ((start, size),)
        for _ in range(0 if kind == "alone" else draw(st.integers(1, 3))):
            seen = ((start, start + draw(st.integers(1, length))),) if kind == "turns" else past
            own = draw(st.integers(1, 6))
            parts.append(Part(range(own), seen, len(parts)))
            past += ((size, size + own),) if kind == "levels" else ()
            size += own
    return lay(parts).spans


@pytest.mark.parametrize("backend", ["sdpa", "eager", "varlen"])
@settings(max_examples=40, deadline=None)
@given(spans=rows(), tile=st.integers(1, 40))
def test_a_back_end_is_softmax_under_the_mask_of_the_spans(backend: str, spans: tuple[Span, ...], tile: int) -> None:
    total = spans[-1].end
    query, key, value = heads(total)
    wanted = by_mask(query, key, value, visible(spans))
    found = [
        run(backend, query[:, :, at : at + tile], key, value, attention.pieces(spans, at, min(at + tile, total)), SCALE)
        for at in range(0, total, tile)
    ]
    torch.testing.assert_close(torch.cat(found, 2), wanted, atol=2e-6, rtol=0)
    last = [span.end - 1 for span in spans]
    one_each = run(backend, query[:, :, last], key, value, attention.last_pieces(spans), SCALE)
    torch.testing.assert_close(one_each, wanted[:, :, last], atol=2e-6, rtol=0)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_reads_a_tree_as_its_mask_says() -> None:
    tree = [Part(range(9)), Part(range(5), ((0, 9),), 0), Part(range(1), ((0, 4),), 1)]
    spans = lay([*tree, Part(range(3), ((0, 9), (9, 14)), 2), Part(range(7))]).spans
    query, key, value = heads(spans[-1].end)
    found = run("flex", query, key, value, attention.pieces(spans), SCALE)
    torch.testing.assert_close(found, by_mask(query, key, value, visible(spans)), atol=2e-6, rtol=0)


@pytest.mark.parametrize("backend", ["sdpa", "varlen"])
def test_bf16_parts_are_merged_in_fp32(backend: str) -> None:
    """2e-2 is what bf16 itself costs these numbers (half of it is one unit in the last place at 2)."""
    spans = lay([Part(range(200)), *(Part(range(40), ((0, 200),), n) for n in range(3))]).spans
    exact = heads(spans[-1].end)
    rounded = tuple(tensor.to(torch.bfloat16) for tensor in exact)
    wanted = run("eager", *(tensor.float() for tensor in rounded), attention.pieces(spans), SCALE)
    found = run(backend, *rounded, attention.pieces(spans), SCALE)
    assert found.dtype == torch.bfloat16
    assert float((found.float() - wanted).abs().max()) < 2e-2


def test_a_span_cut_by_a_tile_sees_its_earlier_tokens_and_its_past() -> None:
    spans = (Span(0, 4), Span(4, 10, ((0, 4),)))
    assert attention.pieces(spans, 2, 7) == [Piece((0, 2), (2, 4), ((0, 2),)), Piece((2, 5), (4, 7), ((0, 4),))]
    assert attention.pieces(spans, 7, 10) == [Piece((0, 3), (7, 10), ((0, 4), (4, 7)))]
    assert attention.last_pieces(spans) == [Piece((0, 1), (0, 4)), Piece((1, 2), (4, 10), ((0, 4),))]


def test_a_cpu_has_sdpa_by_itself_and_no_cuda_kernel() -> None:
    device = torch.device("cpu")
    offered: list[Backend] = attention.offered(device)
    assert attention.choose(device) == "sdpa"
    assert {"sdpa", "eager"} <= set(offered)
    assert not {"cudnn", "varlen"} & set(offered)
