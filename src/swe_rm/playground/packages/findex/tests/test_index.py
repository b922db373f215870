"""Tests of findex.index."""

import unittest

from findex.index import Index, QueryError, split_query


def shelf():
    index = Index()
    index.add("lamp", "The old lamp is lit. A lamp needs oil.")
    index.add("stove", "An old stove needs wood, not oil")
    index.add("wick", "Trim the wick of the lamp")
    return index


class TestAdd(unittest.TestCase):
    def test_lengths(self):
        self.assertEqual(shelf().lengths, {"lamp": 6, "stove": 6, "wick": 3})

    def test_replaced(self):
        index = shelf()
        index.add("wick", "nothing here")
        self.assertEqual(index.search("lamp"), ["lamp"])
        self.assertEqual(index.search("nothing"), ["wick"])

    def test_removed(self):
        index = shelf()
        index.remove("wick")
        self.assertEqual(index.search("trim"), [])
        self.assertNotIn("trim", index.places)
        with self.assertRaises(KeyError):
            index.remove("wick")


class TestHaving(unittest.TestCase):
    def test_phrase(self):
        self.assertEqual(shelf().having("old lamp"), {"lamp"})
        self.assertEqual(shelf().having("lamp old"), set())

    def test_words_that_do_not_count_keep_their_place(self):
        self.assertEqual(shelf().having("wick of the lamp"), {"wick"})
        self.assertEqual(shelf().having("wick lamp"), set())

    def test_nothing(self):
        self.assertEqual(shelf().having("the"), set())
        self.assertEqual(shelf().having("candle"), set())


class TestSearch(unittest.TestCase):
    def test_all_words(self):
        self.assertEqual(shelf().search("old oil"), ["lamp", "stove"])
        self.assertEqual(shelf().search("old and wood"), ["stove"])

    def test_or(self):
        self.assertEqual(sorted(shelf().search("wood or trim")), ["stove", "wick"])

    def test_not(self):
        self.assertEqual(shelf().search("lamp not oil"), ["wick"])
        self.assertEqual(sorted(shelf().search("not wood")), ["lamp", "wick"])

    def test_not_binds_more_tightly_than_or(self):
        self.assertEqual(sorted(shelf().search("wood or lamp not oil")), ["stove", "wick"])

    def test_phrases(self):
        self.assertEqual(shelf().search('"old stove"'), ["stove"])
        self.assertEqual(shelf().search('oil not "old lamp"'), ["stove"])

    def test_the_best_come_first(self):
        self.assertEqual(shelf().search("lamp"), ["lamp", "wick"])
        self.assertEqual(shelf().search("lamp or oil"), ["lamp", "wick", "stove"])

    def test_no_query(self):
        self.assertEqual(shelf().search(""), [])

    def test_wrong_queries(self):
        for query in ("or lamp", "lamp or", "lamp not", "not or lamp", "not not lamp"):
            with self.assertRaises(QueryError):
                shelf().search(query)


class TestScore(unittest.TestCase):
    def test_rare_words_say_more(self):
        index = shelf()
        self.assertGreater(index.rarity("wood"), index.rarity("oil"))
        self.assertAlmostEqual(index.rarity("wood"), 0.98083, places=5)

    def test_value(self):
        self.assertAlmostEqual(shelf().score("stove", ["wood"]), 0.90665, places=4)

    def test_nothing_of_it(self):
        self.assertEqual(shelf().score("wick", ["wood"]), 0.0)


class TestCommon(unittest.TestCase):
    def test_most_used(self):
        self.assertEqual(shelf().common(3), [("lamp", 3), ("need", 2), ("oil", 2)])


class TestSplitQuery(unittest.TestCase):
    def test_phrases_are_one(self):
        self.assertEqual(split_query('Lamp "old  wick" and not x'), ["lamp", "old  wick", "not", "x"])

    def test_empty_phrases(self):
        self.assertEqual(split_query('a "" b'), ["a", "b"])

    def test_not_ended(self):
        with self.assertRaises(QueryError):
            split_query('a "b')


if __name__ == "__main__":
    unittest.main()
