"""Documents, found by their words."""

import math

from .words import terms


class QueryError(ValueError):
    """A query that cannot be understood."""


class Index:
    """Words, the documents they are in, and the places they stand at."""

    def __init__(self) -> None:
        self.places: dict[str, dict[str, list[int]]] = {}
        self.lengths: dict[str, int] = {}

    def add(self, name: str, text: str) -> None:
        """Take in a document; one of the same name is replaced."""
        if name in self.lengths:
            self.remove(name)
        found = terms(text)
        self.lengths[name] = len(found)
        for place, term in found:
            self.places.setdefault(term, {}).setdefault(name, []).append(place)

    def remove(self, name: str) -> None:
        """Forget a document."""
        del self.lengths[name]
        for term in list(self.places):
            self.places[term].pop(name, None)
            if not self.places[term]:
                del self.places[term]

    def having(self, text: str) -> set[str]:
        """The documents with a word, or with words one behind the other."""
        wanted = terms(text)
        if not wanted:
            return set()
        first, term = wanted[0]
        found = set()
        for name, starts in self.places.get(term, {}).items():
            others = [(place - first, set(self.places.get(other, {}).get(name, ()))) for place, other in wanted[1:]]
            if any(all(start + away in places for away, places in others) for start in starts):
                found.add(name)
        return found

    def search(self, query: str) -> list[str]:
        """The documents that a query is true of, the best ones first."""
        pieces = split_query(query)
        if not pieces:
            return []
        found: set[str] = set()
        at = 0
        while at < len(pieces):
            group, at = self._group(pieces, at)
            found |= group
            if at < len(pieces):
                at += 1
                if at == len(pieces):
                    raise QueryError("nothing behind or")
        wanted = [piece for place, piece in enumerate(pieces) if place == 0 or pieces[place - 1] != "not"]
        return sorted(found, key=lambda name: (-self.score(name, wanted), name))

    def _group(self, pieces: list[str], at: int) -> tuple[set[str], int]:
        """The documents of the conditions up to the next ``or``."""
        found: set[str] | None = None
        while at < len(pieces) and pieces[at] != "or":
            negated = pieces[at] == "not"
            at += negated
            if at == len(pieces) or pieces[at] in ("or", "not"):
                raise QueryError("nothing behind not")
            having = self.having(pieces[at])
            if negated:
                having = set(self.lengths) - having
            found = having if found is None else found & having
            at += 1
        if found is None:
            raise QueryError("nothing before or")
        return found, at

    def rarity(self, term: str) -> float:
        """How much it says that a word is in a document: more for words that are in few."""
        having = len(self.places.get(term, ()))
        return math.log(1 + (len(self.lengths) - having + 0.5) / (having + 0.5))

    def score(self, name: str, pieces: list[str]) -> float:
        """How well a document fits the words: rare ones and frequent use count, length counts against it."""
        mean = sum(self.lengths.values()) / len(self.lengths)
        total = 0.0
        for piece in pieces:
            for _, term in terms(piece):
                often = len(self.places.get(term, {}).get(name, ()))
                damped = often + 1.2 * (0.25 + 0.75 * self.lengths[name] / mean)
                total += self.rarity(term) * often * 2.2 / damped
        return total

    def common(self, count: int) -> list[tuple[str, int]]:
        """The words used most, with how often; of equals the first of the alphabet."""
        uses = {term: sum(len(places) for places in having.values()) for term, having in self.places.items()}
        return sorted(uses.items(), key=lambda item: (-item[1], item[0]))[:count]


def split_query(query: str) -> list[str]:
    """The words of a query, its phrases as one; ``and`` says nothing."""
    if query.count('"') % 2 != 0:
        raise QueryError("a phrase is not ended")
    pieces: list[str] = []
    for number, part in enumerate(query.split('"')):
        if number % 2 == 1:
            pieces += [part] if part.strip() else []
        else:
            pieces += [word for word in part.lower().split() if word != "and"]
    return pieces
