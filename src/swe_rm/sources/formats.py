"""All formats that are read, in the order in which a file is offered to them."""

from swe_rm.sources import (
    agentless,
    aider,
    atif,
    attempts,
    autocoderover,
    chat,
    claude_code,
    codex,
    harbor,
    hosted,
    inspect_eval,
    mini_swe_agent,
    moatless,
    moatless_tree,
    opencode,
    openhands,
    openhands_completions,
    openhands_stream,
    predictions,
    r2e_gym,
    shards,
    swe_agent,
    trae,
    vorflux,
)
from swe_rm.sources.reader import Reader

SPECIFIC: tuple[Reader, ...] = (
    shards,
    attempts,
    harbor,
    atif,
    mini_swe_agent,
    swe_agent,
    openhands,
    openhands_completions,
    openhands_stream,
    hosted,
    r2e_gym,
    inspect_eval,
    claude_code,
    codex,
    opencode,
    trae,
    moatless,
    moatless_tree,
    autocoderover,
    aider,
    agentless,
    vorflux,
    predictions,
)
"""Formats with marks of their own; `chat`, which any log resembles, is asked after all of them."""

LAST: Reader = chat
"""What a file is when it is nothing else and holds messages."""

ROWS = frozenset({shards.NAME, attempts.NAME, chat.NAME, hosted.NAME, r2e_gym.NAME})
"""Formats whose rows say themselves whose attempt they are: the files beside them say nothing of them."""

SESSIONS = frozenset({claude_code.NAME, codex.NAME, opencode.NAME, trae.NAME})
"""Formats that hold no final patch: a file beside the session does, or else what it records of the edits."""

HANDED_IN = frozenset({
    mini_swe_agent.NAME, swe_agent.NAME, openhands.NAME, moatless.NAME, autocoderover.NAME, aider.NAME,
    predictions.NAME,
})  # fmt: skip
"""Formats that hold whatever was handed in: an attempt without a patch has handed none in. In any other it may be that
the patch was not kept."""

SAMPLES = frozenset({agentless.NAME})
"""Formats that hold several attempts of a run at one task: its prediction says which one was handed in and tested."""
