"""Texts to words: lower case, without marks, with simple endings taken off."""

STOP = frozenset({"a", "an", "and", "in", "is", "of", "the", "to"})


def words(text: str) -> list[str]:
    """The words of a text in lower case; a mark within a word stays."""
    found = []
    for piece in text.lower().split():
        word = piece.strip(".,;:!?\"'()[]")
        if word:
            found.append(word)
    return found


def stem(word: str) -> str:
    """The word without a plural's or a verb's ending, if enough of it is left."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("ss"):
        return word
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            cut = word[: -len(ending)]
            if ending in ("ing", "ed") and cut[-1] == cut[-2] and cut[-1] not in "ls":
                return cut[:-1]
            return cut
    return word


def terms(text: str) -> list[tuple[int, str]]:
    """Place and stem of each word that counts; the places of the others are left out."""
    return [(place, stem(word)) for place, word in enumerate(words(text)) if word not in STOP]


def snippet(text: str, wanted: set[str], around: int = 2) -> str:
    """The words around the first one whose stem is wanted, which stands between stars."""
    pieces = text.split()
    for place, piece in enumerate(pieces):
        found = words(piece)
        if found and stem(found[0]) in wanted:
            first = max(0, place - around)
            shown = [*pieces[first:place], f"*{piece}*", *pieces[place + 1 : place + around + 1]]
            before = "... " if first > 0 else ""
            after = " ..." if place + around + 1 < len(pieces) else ""
            return before + " ".join(shown) + after
    return " ".join(pieces[: 2 * around + 1])
