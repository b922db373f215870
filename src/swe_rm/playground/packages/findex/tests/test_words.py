"""Tests of findex.words."""

import unittest

from findex.words import snippet, stem, terms, words


class TestWords(unittest.TestCase):
    def test_lower_case_without_marks(self):
        self.assertEqual(words('The Lamp, "lit"!'), ["the", "lamp", "lit"])

    def test_marks_within_stay(self):
        self.assertEqual(words("it's 3.5 (well-known)"), ["it's", "3.5", "well-known"])

    def test_marks_alone(self):
        self.assertEqual(words("a ... b"), ["a", "b"])


class TestStem(unittest.TestCase):
    def test_plurals(self):
        self.assertEqual(stem("lamps"), "lamp")
        self.assertEqual(stem("boxes"), "box")
        self.assertEqual(stem("parties"), "party")

    def test_verbs(self):
        self.assertEqual(stem("lighted"), "light")
        self.assertEqual(stem("running"), "run")
        self.assertEqual(stem("calling"), "call")
        self.assertEqual(stem("missed"), "miss")

    def test_enough_must_be_left(self):
        self.assertEqual(stem("ties"), "tie")
        self.assertEqual(stem("sing"), "sing")
        self.assertEqual(stem("red"), "red")
        self.assertEqual(stem("gas"), "gas")

    def test_double_s(self):
        self.assertEqual(stem("glass"), "glass")


class TestTerms(unittest.TestCase):
    def test_places_are_those_of_all_words(self):
        self.assertEqual(terms("The lamps of the house"), [(1, "lamp"), (4, "house")])


class TestSnippet(unittest.TestCase):
    TEXT = "one two three four five six seven"

    def test_in_the_middle(self):
        self.assertEqual(snippet(self.TEXT, {"four"}, 1), "... three *four* five ...")

    def test_at_the_ends(self):
        self.assertEqual(snippet(self.TEXT, {"one"}, 1), "*one* two ...")
        self.assertEqual(snippet(self.TEXT, {"seven"}, 1), "... six *seven*")
        self.assertEqual(snippet("one two three", {"two"}, 1), "one *two* three")

    def test_by_stem(self):
        self.assertEqual(snippet("Old lamps, new", {"lamp"}, 1), "Old *lamps,* new")

    def test_not_found(self):
        self.assertEqual(snippet(self.TEXT, {"nine"}, 1), "one two three")


if __name__ == "__main__":
    unittest.main()
