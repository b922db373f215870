"""Words that are nearly another."""

from collections.abc import Iterable


def distance(one: str, other: str, most: int | None = None) -> int:
    """Letters to add, drop, replace or swap with the next one; counting stops beyond `most`."""
    if most is not None and abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            cost = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        if most is not None and min(line) > most:
            return most + 1
        before, last = last, line
    return last[-1]


def suggest(word: str, known: Iterable[str], most: int = 2, count: int = 3) -> list[str]:
    """The known words that are nearest; of equals those with the same first letter, then the alphabet."""
    near = []
    for other in known:
        steps = distance(word, other, most)
        if steps <= most:
            near.append((steps, other[:1] != word[:1], other))
    return [other for _, _, other in sorted(near)[:count]]


def corrected(text: str, known: set[str]) -> str:
    """The text with each word that is not known replaced by the nearest one, if there is any."""
    found = []
    for word in text.split():
        if word in known:
            found.append(word)
            continue
        others = suggest(word, known, count=1)
        found.append(others[0] if others else word)
    return " ".join(found)


def complete(start: str, known: Iterable[str], count: int = 5) -> list[str]:
    """The known words with such a beginning, the shortest first."""
    return sorted((word for word in known if word.startswith(start) and word != start), key=lambda w: (len(w), w))[
        :count
    ]
