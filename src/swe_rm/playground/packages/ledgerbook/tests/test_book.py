"""Tests of ledgerbook.book."""

import unittest

from ledgerbook.book import Book, UnbalancedError


def small_book():
    book = Book()
    for name, kind in (
        ("cash", "asset"),
        ("rent", "expense"),
        ("sales", "income"),
        ("loan", "liability"),
        ("owner", "equity"),
    ):
        book.open(name, kind)
    book.post(1, "start", {"cash": 10000, "owner": -10000})
    book.post(3, "rent", {"rent": 2500, "cash": -2500})
    book.post(5, "sale", {"cash": 4000, "sales": -4000})
    return book


class TestOpen(unittest.TestCase):
    def test_unknown_kind(self):
        with self.assertRaisesRegex(ValueError, "no such kind"):
            Book().open("x", "magic")

    def test_twice(self):
        book = small_book()
        with self.assertRaisesRegex(ValueError, "there already"):
            book.open("cash", "asset")

    def test_every_kind_can_be_opened(self):
        self.assertEqual(sorted(small_book().accounts.values()), ["asset", "equity", "expense", "income", "liability"])


class TestPost(unittest.TestCase):
    def test_unbalanced(self):
        with self.assertRaisesRegex(UnbalancedError, "off by 1.00"):
            small_book().post(6, "wrong", {"cash": 200, "sales": -100})

    def test_a_single_line(self):
        with self.assertRaisesRegex(UnbalancedError, "two lines"):
            small_book().post(6, "wrong", {"cash": 0})

    def test_unknown_account(self):
        with self.assertRaises(KeyError):
            small_book().post(6, "wrong", {"cash": 1, "nowhere": -1})

    def test_entries_are_in_the_order_of_days(self):
        book = small_book()
        book.post(2, "early", {"cash": 1, "sales": -1})
        self.assertEqual([day for day, _, _ in book.entries], [1, 2, 3, 5])

    def test_the_lines_are_a_copy(self):
        book, lines = small_book(), {"cash": 1, "sales": -1}
        book.post(6, "sale", lines)
        lines["cash"] = 99
        self.assertEqual(book.balance("cash"), 11501)


class TestBalance(unittest.TestCase):
    def test_debits_count_for_assets_and_expenses(self):
        self.assertEqual(small_book().balance("cash"), 11500)
        self.assertEqual(small_book().balance("rent"), 2500)

    def test_credits_count_for_the_others(self):
        self.assertEqual(small_book().balance("sales"), 4000)
        self.assertEqual(small_book().balance("owner"), 10000)

    def test_until_a_day_that_counts(self):
        self.assertEqual(small_book().balance("cash", until=3), 7500)
        self.assertEqual(small_book().balance("cash", until=2), 10000)
        self.assertEqual(small_book().balance("cash", until=0), 0)

    def test_an_account_without_entries(self):
        self.assertEqual(small_book().balance("loan"), 0)


class TestStatement(unittest.TestCase):
    def test_lines_and_running_balance(self):
        self.assertEqual(
            small_book().statement("cash", 2, 5),
            ["brought forward 100.00", "3 rent (25.00) 75.00", "5 sale 40.00 115.00"],
        )

    def test_days_at_both_ends_are_in(self):
        self.assertEqual(len(small_book().statement("cash", 1, 3)), 3)

    def test_credit_accounts_grow_with_credits(self):
        self.assertEqual(small_book().statement("sales", 4, 9), ["brought forward 0.00", "5 sale 40.00 40.00"])


class TestReverse(unittest.TestCase):
    def test_the_balance_is_as_before(self):
        book = small_book()
        book.reverse(1, 8)
        self.assertEqual(book.balance("rent"), 0)
        self.assertEqual(book.entries[-1][:2], (8, "reversal of rent"))


class TestTotals(unittest.TestCase):
    def test_by_kind(self):
        self.assertEqual(
            small_book().totals(), {"asset": 11500, "expense": 2500, "income": 4000, "liability": 0, "equity": 10000}
        )

    def test_accounts_of_a_kind_are_added(self):
        book = small_book()
        book.open("bank", "asset")
        book.post(6, "paid in", {"bank": 500, "sales": -500})
        self.assertEqual(book.totals()["asset"], 12000)


class TestClose(unittest.TestCase):
    def test_profit_goes_to_equity(self):
        book = small_book()
        self.assertEqual(book.close(9, "owner"), 1500)
        self.assertEqual(book.balance("owner"), 11500)
        self.assertEqual((book.balance("sales"), book.balance("rent")), (0, 0))

    def test_closed_days_stay_closed(self):
        book = small_book()
        book.close(9, "owner")
        with self.assertRaisesRegex(ValueError, "day 9 is closed"):
            book.post(9, "late", {"cash": 1, "sales": -1})
        book.post(10, "in time", {"cash": 1, "sales": -1})

    def test_what_comes_later_is_not_closed(self):
        book = small_book()
        self.assertEqual(book.close(4, "owner"), -2500)
        self.assertEqual(book.balance("sales"), 4000)

    def test_nothing_to_close(self):
        book = Book()
        book.open("owner", "equity")
        self.assertEqual(book.close(3, "owner"), 0)
        self.assertEqual(book.entries, [])


if __name__ == "__main__":
    unittest.main()
