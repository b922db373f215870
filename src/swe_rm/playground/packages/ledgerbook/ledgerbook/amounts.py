"""Amounts of money: whole cents, read from text and written as text."""


def parse_amount(text: str) -> int:
    """Cents of a text such as ``1,234.50``, ``-3`` or ``(12.00)``, where brackets mean a negative amount."""
    text = text.strip()
    if not text:
        raise ValueError("an amount cannot be empty")
    negative = False
    if text.startswith("(") and text.endswith(")"):
        negative = True
        text = text[1:-1]
    if text[0] in "+-":
        negative = negative != (text[0] == "-")
        text = text[1:]
    whole, point, fraction = text.replace(",", "").partition(".")
    if point and not 1 <= len(fraction) <= 2:
        raise ValueError(f"an amount has one or two digits behind the point, not {len(fraction)}")
    if not (whole + fraction).isdigit():
        raise ValueError(f"not an amount: {text}")
    cents = int(whole or "0") * 100 + int(fraction.ljust(2, "0"))
    return -cents if negative else cents


def format_amount(cents: int, brackets: bool = False) -> str:
    """The text of an amount, with thousands apart; negative ones in brackets if asked."""
    whole, rest = divmod(abs(cents), 100)
    text = f"{whole:,}.{rest:02d}"
    if cents >= 0:
        return text
    return f"({text})" if brackets else f"-{text}"


def split_evenly(cents: int, parts: int) -> list[int]:
    """An amount divided into parts that differ by a cent at most and add up to it; the larger ones come first."""
    if parts < 1:
        raise ValueError("at least one part is needed")
    share, left = divmod(abs(cents), parts)
    shares = [share + 1 if number < left else share for number in range(parts)]
    return [-value for value in shares] if cents < 0 else shares


def share_by_weight(cents: int, weights: list[int]) -> list[int]:
    """An amount divided in proportion to weights; cents that are left go to the largest remainders, the first first."""
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative, nor all be zero")
    shares = [cents * weight // total for weight in weights]
    remainders = [cents * weight % total for weight in weights]
    order = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
    for place in order[: cents - sum(shares)]:
        shares[place] += 1
    return shares
