"""Text to trees: ``("+", left, right)``, ``("neg", inner)``, ``("call", name, arguments)``, names and numbers."""

from typing import Any

PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
UNARY = 3


class ParseError(ValueError):
    """A text that is no expression."""


def tokens(text: str) -> list[str]:
    """The numbers, names and signs of a text."""
    found: list[str] = []
    at = 0
    while at < len(text):
        start = at
        if text[at].isspace():
            at += 1
            continue
        if text[at].isdigit() or text[at] == ".":
            while at < len(text) and (text[at].isdigit() or text[at] == "."):
                at += 1
            if text[start:at].count(".") > 1 or text[start:at] == ".":
                raise ParseError(f"not a number: {text[start:at]}")
        elif text[at].isalpha() or text[at] == "_":
            while at < len(text) and (text[at].isalnum() or text[at] == "_"):
                at += 1
        elif text[at] in "+-*/%^(),":
            at += 1
        else:
            raise ParseError(f"no such sign: {text[at]}")
        found.append(text[start:at])
    return found


def parse(text: str) -> Any:
    """The tree of an expression."""
    reader = Reader(tokens(text))
    tree = reader.expression(0)
    if reader.peek():
        raise ParseError(f"unexpected {reader.peek()}")
    return tree


class Reader:
    """Reads tokens from left to right."""

    def __init__(self, found: list[str]) -> None:
        self.found = found
        self.at = 0

    def peek(self) -> str:
        """The next token; empty at the end."""
        return self.found[self.at] if self.at < len(self.found) else ""

    def take(self, wanted: str = "") -> str:
        """The next token, which must be the wanted one if there is one."""
        token = self.peek()
        if not token:
            raise ParseError("the expression ends too early")
        if wanted and token != wanted:
            raise ParseError(f"{wanted} expected, not {token}")
        self.at += 1
        return token

    def expression(self, least: int) -> Any:
        """An expression whose signs bind at least so tightly."""
        left = self.operand()
        while PRECEDENCE.get(self.peek(), -1) >= max(least, 1):
            sign = self.take()
            binds = PRECEDENCE[sign]
            right = self.expression(binds if sign == "^" else binds + 1)
            left = (sign, left, right)
        return left

    def operand(self) -> Any:
        """A number, a name, a call, or something in brackets, with the signs before it."""
        piece = self.take()
        if piece == "-":
            return ("neg", self.expression(UNARY))
        if piece == "+":
            return self.expression(UNARY)
        if piece == "(":
            inner = self.expression(0)
            self.take(")")
            return inner
        if piece[0].isdigit() or piece[0] == ".":
            return float(piece)
        if piece[0].isalpha() or piece[0] == "_":
            return ("call", piece, self.arguments()) if self.peek() == "(" else piece
        raise ParseError(f"unexpected {piece}")

    def arguments(self) -> list[Any]:
        """What stands in the brackets of a call."""
        self.take("(")
        found: list[Any] = []
        if self.peek() != ")":
            found.append(self.expression(0))
            while self.peek() == ",":
                self.take(",")
                found.append(self.expression(0))
        self.take(")")
        return found
