"""Tests of tidytext.layout."""

import unittest

from tidytext.layout import aligned, columns, common_indent, indent, table, wrap


class TestWrap(unittest.TestCase):
    def test_words_stay_whole(self):
        self.assertEqual(wrap("the lamp stays dark", 9), ["the lamp", "stays", "dark"])

    def test_a_line_may_be_full(self):
        self.assertEqual(wrap("aaa bbb", 7), ["aaa bbb"])
        self.assertEqual(wrap("aaa bbb", 6), ["aaa", "bbb"])

    def test_long_words_are_cut(self):
        self.assertEqual(wrap("abcdefgh", 3), ["abc", "def", "gh"])
        self.assertEqual(wrap("a bcdefg", 3), ["a", "bcd", "efg"])

    def test_hanging(self):
        self.assertEqual(wrap("one two three", 7, hanging=2), ["one two", "  three"])
        self.assertEqual(wrap("one two six", 5, hanging=2), ["one", "  two", "  six"])

    def test_spaces_do_not_count(self):
        self.assertEqual(wrap("  a \n b ", 9), ["a b"])
        self.assertEqual(wrap("   ", 9), [])

    def test_no_room(self):
        with self.assertRaises(ValueError):
            wrap("a", 2, hanging=2)


class TestIndent(unittest.TestCase):
    def test_every_line_but_empty_ones(self):
        self.assertEqual(indent("a\n\nb", 2), "  a\n\n  b")

    def test_not_the_first(self):
        self.assertEqual(indent("a\nb", 1, first=False), "a\n b")

    def test_common(self):
        self.assertEqual(common_indent("    a\n  b\n\n   c"), 2)
        self.assertEqual(common_indent("\n"), 0)


class TestAligned(unittest.TestCase):
    def test_sides(self):
        self.assertEqual(aligned("ab", 4, "left"), "ab  ")
        self.assertEqual(aligned("ab", 4, "right"), "  ab")
        self.assertEqual(aligned("ab", 5, "center"), " ab  ")

    def test_cut(self):
        self.assertEqual(aligned("abcdef", 4, "left"), "abc.")
        self.assertEqual(aligned("abcd", 4, "right"), "abcd")

    def test_no_side(self):
        with self.assertRaises(ValueError):
            aligned("a", 3, "top")


class TestTable(unittest.TestCase):
    def test_numbers_stand_to_the_right(self):
        self.assertEqual(table([["ann", 5], ["bo", 12]]), ["ann   5", "bo   12"])

    def test_mixed_columns_stand_to_the_left(self):
        self.assertEqual(table([["a", 5], ["b", "x"]]), ["a  5", "b  x"])

    def test_header(self):
        self.assertEqual(
            table([["ann", 5]], header=["name", "n"]),
            ["name  n", "----  -", "ann   5"],
        )

    def test_short_rows(self):
        self.assertEqual(table([["a"], ["b", "c"]]), ["a", "b  c"])

    def test_long_cells_are_cut(self):
        self.assertEqual(table([["abcdef"]], most=3), ["ab."])

    def test_nothing(self):
        self.assertEqual(table([]), [])
        self.assertEqual(table([], header=["a", "b"]), ["a  b"])


class TestColumns(unittest.TestCase):
    def test_down_before_right(self):
        self.assertEqual(columns(["a", "b", "c", "d", "e"], 4), ["a  d", "b  e", "c"])

    def test_the_width_counts(self):
        self.assertEqual(columns(["aa", "b", "cc"], 10), ["aa  b   cc"])
        self.assertEqual(columns(["aa", "b", "cc"], 9), ["aa  cc", "b"])

    def test_one_column_at_least(self):
        self.assertEqual(columns(["long", "words"], 2), ["long", "words"])

    def test_nothing(self):
        self.assertEqual(columns([], 9), [])


if __name__ == "__main__":
    unittest.main()
