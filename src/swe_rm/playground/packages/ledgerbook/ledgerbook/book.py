"""A book of accounts: every entry adds up to nothing, and balances follow from the entries."""

from .amounts import format_amount

DEBIT_KINDS = ("asset", "expense")
KINDS = (*DEBIT_KINDS, "liability", "income", "equity")


class UnbalancedError(ValueError):
    """An entry whose lines do not add up to nothing."""


class Book:
    """Accounts and the entries posted to them, in the order of their days."""

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {}
        self.entries: list[tuple[int, str, dict[str, int]]] = []
        self.closed_until = 0

    def open(self, name: str, kind: str) -> None:
        """Add an account of a kind: asset, expense, liability, income or equity."""
        if kind not in KINDS:
            raise ValueError(f"no such kind: {kind}")
        if name in self.accounts:
            raise ValueError(f"the account {name} is there already")
        self.accounts[name] = kind

    def post(self, day: int, text: str, lines: dict[str, int]) -> None:
        """Write an entry: cents by account, debits positive, credits negative."""
        if day <= self.closed_until:
            raise ValueError(f"day {day} is closed")
        for name in lines:
            if name not in self.accounts:
                raise KeyError(name)
        if len(lines) < 2:
            raise UnbalancedError("an entry has two lines at least")
        if sum(lines.values()) != 0:
            raise UnbalancedError(f"off by {format_amount(sum(lines.values()))}")
        self.entries.append((day, text, dict(lines)))
        self.entries.sort(key=lambda entry: entry[0])

    def balance(self, name: str, until: int | None = None) -> int:
        """Cents of an account, counted as its kind is: debits for assets and expenses, credits for the others."""
        total = 0
        for day, _, lines in self.entries:
            if until is not None and day > until:
                break
            total += lines.get(name, 0)
        return total if self.accounts[name] in DEBIT_KINDS else -total

    def statement(self, name: str, first: int, last: int) -> list[str]:
        """The account's lines of some days, with the balance after each."""
        running = self.balance(name, first - 1)
        sign = 1 if self.accounts[name] in DEBIT_KINDS else -1
        rows = [f"brought forward {format_amount(running)}"]
        for day, text, lines in self.entries:
            if not first <= day <= last or name not in lines:
                continue
            change = sign * lines[name]
            running += change
            rows.append(f"{day} {text} {format_amount(change, brackets=True)} {format_amount(running)}")
        return rows

    def reverse(self, place: int, day: int) -> None:
        """Undo the entry at a place by one that is its opposite."""
        _, text, lines = self.entries[place]
        self.post(day, f"reversal of {text}", {name: -cents for name, cents in lines.items()})

    def totals(self) -> dict[str, int]:
        """The balance of all accounts together, by kind; kinds without accounts are left out."""
        found: dict[str, int] = {}
        for name, kind in self.accounts.items():
            found[kind] = found.get(kind, 0) + self.balance(name)
        return found

    def close(self, day: int, equity: str) -> int:
        """Carry income and expenses over to an equity account, so that both are empty; the profit."""
        profit = 0
        lines: dict[str, int] = {}
        for name, kind in self.accounts.items():
            if kind not in ("income", "expense"):
                continue
            amount = self.balance(name, day)
            if amount == 0:
                continue
            profit += amount if kind == "income" else -amount
            lines[name] = amount if kind == "income" else -amount
        if lines:
            lines[equity] = -profit
            self.post(day, "closing", lines)
        self.closed_until = day
        return profit
