"""How an attempt is brought under the tokens that somebody else's verifier reads: the end of a prompt always stays."""

from collections.abc import Callable, Sequence
from typing import Literal

from swe_rm.errors import VerifierError
from swe_rm.verifiers.foreign.entries import Entry, Text

Rule = Literal["middle", "thoughts", "refuse"]
"""middle: entries of the middle of the log go first, as in swe-rm's own policy. thoughts: the longest thing an
assistant said goes first, then as middle. refuse: no verdict."""

CONDENSED = "<Thought condensed for saving context>"
"""What DeepSWE's verifier was trained to see in a thought's place."""
CUT = "[... cut ...]"
TAIL = 0.75
"""Share of what is kept of the log that is its end."""
_ROUNDS = 24
_LEAST = 80
"""Characters below which a text is not cut further."""

Measure = Callable[[Text], int]
"""Tokens of the whole prompt with this text in it."""


def fit(text: Text, measure: Measure, limit: int, rule: Rule) -> tuple[Text, int]:
    """The text whose prompt has at most `limit` tokens, and how many tokens that cost.

    Raises VerifierError where the rule is to refuse, or where what must stay is too long by itself.
    """
    whole = tokens = measure(text)
    if tokens <= limit:
        return text, 0
    if rule == "refuse":
        raise VerifierError(f"{whole} tokens, {limit} are read: refused by its rule")
    if rule == "thoughts":
        text, tokens = _without_thoughts(text, measure, limit)
    for cut in (_cut_log, _cut_patch, _cut_prompt):
        if tokens > limit:
            text, tokens = cut(text, measure, limit, tokens)
    if tokens > limit:
        raise VerifierError(f"{whole} tokens, {limit} are read: too long even with its log and patch cut")
    return text, whole - tokens


def _without_thoughts(text: Text, measure: Measure, limit: int) -> tuple[Text, int]:
    """Thoughts of the agent replaced, the longest first, the first reply's never; as many as are needed."""
    replies = [place for place, entry in enumerate(text.entries) if entry.role == "assistant"]
    order = sorted(replies[1:], key=lambda place: -len(text.entries[place].said))
    low, high = 0, len(order)
    while low < high:  # the fewest that do, by halves: each count is the whole prompt tokenised anew
        middle = (low + high) // 2
        if measure(_condensed(text, order[:middle])) <= limit:
            high = middle
        else:
            low = middle + 1
    text = _condensed(text, order[:low])
    return text, measure(text)


def _condensed(text: Text, places: Sequence[int]) -> Text:
    chosen = set(places)
    entries = tuple(
        entry._replace(said=CONDENSED) if place in chosen else entry for place, entry in enumerate(text.entries)
    )
    return text._replace(entries=entries)


def _cut_log(text: Text, measure: Measure, limit: int, tokens: int) -> tuple[Text, int]:
    """The log after the prompt cut in its middle."""
    start = next((place for place, entry in enumerate(text.entries) if entry.role == "assistant"), len(text.entries))
    prompt, log = text.entries[:start], text.entries[start:]

    def with_room(characters: int) -> Text:
        return text._replace(entries=(*prompt, *_middle_cut(log, characters)))

    return _shrunk(with_room, sum(map(_size, log)), measure, limit, tokens)


def _cut_patch(text: Text, measure: Measure, limit: int, tokens: int) -> tuple[Text, int]:
    text = text._replace(entries=_emptied(text.entries))
    return _shrunk(lambda room: text._replace(patch=_inside(text.patch, room)), len(text.patch), measure, limit, tokens)


def _cut_prompt(text: Text, measure: Measure, limit: int, tokens: int) -> tuple[Text, int]:
    """The texts before the first reply, the issue among them, each cut in its middle to one length."""
    longest = max((len(entry.said) for entry in text.entries), default=0)
    longest = max(longest, len(text.issue))

    def with_room(characters: int) -> Text:
        entries = tuple(entry._replace(said=_inside(entry.said, characters)) for entry in text.entries)
        return text._replace(entries=entries, issue=_inside(text.issue, characters))

    return _shrunk(with_room, longest, measure, limit, tokens)


def _shrunk(with_room: Callable[[int], Text], size: int, measure: Measure, limit: int, tokens: int) -> tuple[Text, int]:
    """The text with the most room, within a hundredth of the limit, that fits; with no room where none does."""
    low, high, best = 0, size, None
    guess = max(0, int(size * (1 - 1.05 * (tokens - limit) / tokens)))
    for _ in range(_ROUNDS):
        text = with_room(guess)
        found = measure(text)
        if found <= limit:
            low, best = guess, (text, found)
        else:
            high = guess
        if high - low <= max(1, limit // 100) or limit - limit // 100 <= found <= limit:
            break
        guess = (low + high) // 2
    if best is None:
        text = with_room(0)
        best = text, measure(text)
    return best


def _middle_cut(log: Sequence[Entry], room: int) -> list[Entry]:
    """The beginning and the end of a log in so many characters, a mark between them."""
    if sum(map(_size, log)) <= room:
        return list(log)
    tail = _taken(log[::-1], int(room * TAIL))[::-1]
    head = _taken(log[: len(log) - len(tail)], room - sum(map(_size, tail)))
    return [*head, Entry("user", CUT), *tail]


def _taken(log: Sequence[Entry], room: int) -> list[Entry]:
    """Entries from the front while they fit; the first that does not is cut inside where that leaves enough of it."""
    taken = []
    for entry in log:
        if _size(entry) > room:
            if room >= _LEAST:
                taken.append(_shortened(entry, room))
            break
        taken.append(entry)
        room -= _size(entry)
    return taken


def _shortened(entry: Entry, room: int) -> Entry:
    """What was said goes before what was done."""
    calls = sum(len(value) for call in entry.calls for value in call.parameters.values())
    if calls <= room // 2:
        return entry._replace(said=_inside(entry.said, room - calls))
    share = room / (_size(entry) or 1)
    cut = tuple(
        call._replace(
            parameters={key: _inside(value, int(len(value) * share)) for key, value in call.parameters.items()}
        )
        for call in entry.calls
    )
    return entry._replace(said=_inside(entry.said, int(len(entry.said) * share)), calls=cut)


def _emptied(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    start = next((place for place, entry in enumerate(entries) if entry.role == "assistant"), len(entries))
    return (*entries[:start], *_middle_cut(entries[start:], 0))


def _inside(text: str, room: int) -> str:
    """At most `room` characters and a mark: the beginning and the end."""
    if len(text) <= room:
        return text
    head = room // 2
    return f"{text[:head]}{CUT}{text[len(text) - (room - head) :]}"


def _size(entry: Entry) -> int:
    return len(entry.written) + len(entry.thinking)
