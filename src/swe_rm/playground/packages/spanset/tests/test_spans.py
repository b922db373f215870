"""Tests of spanset.spans."""

import unittest

from spanset.spans import SpanSet


class TestMaking(unittest.TestCase):
    def test_sorted_and_joined(self):
        self.assertEqual(SpanSet([(5, 8), (1, 3), (7, 9)]).spans, [(1, 3), (5, 9)])

    def test_touching_spans_are_one(self):
        self.assertEqual(SpanSet([(1, 3), (3, 5)]).spans, [(1, 5)])

    def test_a_span_within_another(self):
        self.assertEqual(SpanSet([(1, 9), (2, 3)]).spans, [(1, 9)])

    def test_empty_spans_are_nothing(self):
        self.assertEqual(SpanSet([(2, 2)]).spans, [])

    def test_backwards(self):
        with self.assertRaises(ValueError):
            SpanSet([(3, 1)])

    def test_equal_sets(self):
        self.assertEqual(SpanSet([(1, 2), (2, 4)]), SpanSet([(1, 4)]))
        self.assertNotEqual(SpanSet([(1, 4)]), SpanSet([(1, 5)]))
        self.assertEqual(len({SpanSet([(1, 2), (2, 4)]), SpanSet([(1, 4)])}), 1)

    def test_written(self):
        self.assertEqual(repr(SpanSet([(1, 4), (6, 7)])), "{1..3, 6..6}")


class TestNumbers(unittest.TestCase):
    def test_length(self):
        self.assertEqual(len(SpanSet([(1, 4), (6, 7)])), 4)

    def test_iteration(self):
        self.assertEqual(list(SpanSet([(1, 4), (6, 7)])), [1, 2, 3, 6])

    def test_contains(self):
        spans = SpanSet([(1, 4), (6, 7)])
        self.assertEqual([number for number in range(9) if number in spans], [1, 2, 3, 6])

    def test_nothing_is_in_the_empty_set(self):
        self.assertNotIn(0, SpanSet())


class TestAlgebra(unittest.TestCase):
    def setUp(self):
        self.left = SpanSet([(0, 4), (8, 12)])
        self.right = SpanSet([(2, 9), (11, 20)])

    def test_union(self):
        self.assertEqual((self.left | self.right).spans, [(0, 20)])

    def test_intersection(self):
        self.assertEqual((self.left & self.right).spans, [(2, 4), (8, 9), (11, 12)])

    def test_intersection_of_what_only_touches(self):
        self.assertEqual((SpanSet([(0, 2)]) & SpanSet([(2, 4)])).spans, [])

    def test_difference(self):
        self.assertEqual((self.left - self.right).spans, [(0, 2), (9, 11)])
        self.assertEqual((self.right - self.left).spans, [(4, 8), (12, 20)])

    def test_difference_with_nothing(self):
        self.assertEqual(self.left - SpanSet(), self.left)
        self.assertEqual(SpanSet() - self.left, SpanSet())

    def test_against_sets_of_numbers(self):
        self.assertEqual(set(self.left & self.right), set(self.left) & set(self.right))
        self.assertEqual(set(self.left - self.right), set(self.left) - set(self.right))


class TestGaps(unittest.TestCase):
    def test_between_and_around(self):
        self.assertEqual(SpanSet([(2, 4), (6, 8)]).gaps(0, 10).spans, [(0, 2), (4, 6), (8, 10)])

    def test_spans_over_the_ends(self):
        self.assertEqual(SpanSet([(-5, 2), (8, 20)]).gaps(0, 10).spans, [(2, 8)])

    def test_spans_beyond(self):
        self.assertEqual(SpanSet([(15, 20)]).gaps(0, 10).spans, [(0, 10)])

    def test_all_taken(self):
        self.assertEqual(SpanSet([(0, 10)]).gaps(0, 10).spans, [])


class TestOthers(unittest.TestCase):
    def test_shifted(self):
        self.assertEqual(SpanSet([(1, 3)]).shifted(-2).spans, [(-1, 1)])

    def test_longest(self):
        self.assertEqual(SpanSet([(0, 1), (3, 7), (10, 12)]).longest(), (3, 7))
        self.assertEqual(SpanSet([(0, 2), (3, 5)]).longest(), (0, 2))
        self.assertIsNone(SpanSet().longest())

    def test_closed(self):
        spans = SpanSet([(0, 2), (3, 5), (7, 9)])
        self.assertEqual(spans.closed(1).spans, [(0, 5), (7, 9)])
        self.assertEqual(spans.closed(2).spans, [(0, 9)])
        self.assertEqual(spans.closed(0), spans)


if __name__ == "__main__":
    unittest.main()
