"""Tests of findex.spelling."""

import unittest

from findex.spelling import complete, corrected, distance, suggest

KNOWN = ["lamp", "lamps", "damp", "camp", "wick", "oil"]


class TestDistance(unittest.TestCase):
    def test_each_step(self):
        self.assertEqual(distance("lamp", "lamps"), 1)
        self.assertEqual(distance("lamp", "amp"), 1)
        self.assertEqual(distance("lamp", "lump"), 1)
        self.assertEqual(distance("lamp", "lmap"), 1)

    def test_equal_and_empty(self):
        self.assertEqual(distance("lamp", "lamp"), 0)
        self.assertEqual(distance("", "abc"), 3)
        self.assertEqual(distance("abc", ""), 3)

    def test_several(self):
        self.assertEqual(distance("kitten", "sitting"), 3)
        self.assertEqual(distance("ab", "ba"), 1)
        self.assertEqual(distance("abc", "cab"), 2)

    def test_counting_stops(self):
        self.assertEqual(distance("lamp", "wicked", most=1), 2)
        self.assertEqual(distance("aaaa", "bbbb", most=2), 3)
        self.assertEqual(distance("lamp", "lumps", most=2), 2)


class TestSuggest(unittest.TestCase):
    def test_nearest_first(self):
        self.assertEqual(suggest("lampp", KNOWN), ["lamp", "lamps", "camp"])

    def test_the_first_letter_counts(self):
        self.assertEqual(suggest("lam", ["ham", "lamp"]), ["lamp", "ham"])

    def test_how_many(self):
        self.assertEqual(suggest("lamp", KNOWN, most=1, count=2), ["lamp", "lamps"])

    def test_too_far(self):
        self.assertEqual(suggest("candle", KNOWN), [])


class TestCorrected(unittest.TestCase):
    def test_words_not_known(self):
        self.assertEqual(corrected("teh lamp wikc", {"the", "lamp", "wick"}), "the lamp wick")

    def test_known_words_stay(self):
        self.assertEqual(corrected("lamps", {"lamps", "lamp"}), "lamps")

    def test_nothing_near(self):
        self.assertEqual(corrected("zzzzzz", {"lamp"}), "zzzzzz")


class TestComplete(unittest.TestCase):
    def test_shortest_first(self):
        self.assertEqual(complete("la", ["lamps", "lamp", "late", "oil"]), ["lamp", "late", "lamps"])

    def test_not_itself(self):
        self.assertEqual(complete("lamp", KNOWN), ["lamps"])

    def test_how_many(self):
        self.assertEqual(complete("", KNOWN, count=2), ["oil", "camp"])


if __name__ == "__main__":
    unittest.main()
