import unittest

from intervals import IntervalSet


class AddTest(unittest.TestCase):
    def test_sorted(self):
        self.assertEqual(list(IntervalSet([(5, 6), (1, 2)])), [(1, 2), (5, 6)])

    def test_overlap(self):
        self.assertEqual(list(IntervalSet([(1, 4), (3, 6)])), [(1, 6)])

    def test_touching(self):
        self.assertEqual(list(IntervalSet([(1, 2), (2, 3)])), [(1, 3)])

    def test_inside(self):
        self.assertEqual(list(IntervalSet([(1, 9), (3, 4)])), [(1, 9)])

    def test_empty_interval(self):
        self.assertEqual(list(IntervalSet([(3, 3)])), [])

    def test_backwards(self):
        with self.assertRaises(ValueError):
            IntervalSet([(4, 3)])

    def test_bridges_two(self):
        spans = IntervalSet([(1, 3), (5, 8)])
        spans.add(2, 6)
        self.assertEqual(list(spans), [(1, 8)])

    def test_bridge_is_counted_once(self):
        spans = IntervalSet([(0, 10), (20, 30)])
        spans.add(10, 20)
        self.assertEqual(spans.total(), 30)

    def test_swallows_many(self):
        spans = IntervalSet([(1, 2), (3, 4), (5, 6), (7, 8), (20, 21)])
        spans.add(0, 7)
        self.assertEqual(list(spans), [(0, 8), (20, 21)])

    def test_equal_sets_have_equal_spans(self):
        spans = IntervalSet([(1, 2), (3, 4), (5, 6)])
        spans.add(1, 6)
        self.assertEqual(spans, IntervalSet([(1, 6)]))


class RemoveTest(unittest.TestCase):
    def test_left_part(self):
        spans = IntervalSet([(1, 5)])
        spans.remove(0, 3)
        self.assertEqual(list(spans), [(3, 5)])

    def test_right_part(self):
        spans = IntervalSet([(1, 5)])
        spans.remove(3, 9)
        self.assertEqual(list(spans), [(1, 3)])

    def test_whole(self):
        spans = IntervalSet([(1, 2), (3, 4), (9, 10)])
        spans.remove(1, 4)
        self.assertEqual(list(spans), [(9, 10)])

    def test_outside(self):
        spans = IntervalSet([(1, 5)])
        spans.remove(5, 9)
        self.assertEqual(list(spans), [(1, 5)])

    def test_middle(self):
        spans = IntervalSet([(0, 10)])
        spans.remove(4, 6)
        self.assertEqual(list(spans), [(0, 4), (6, 10)])

    def test_middle_keeps_the_rest_of_the_set(self):
        spans = IntervalSet([(0, 10), (20, 30)])
        spans.remove(2, 3)
        self.assertIn(9, spans)
        self.assertEqual(spans.total(), 19)


class SetTest(unittest.TestCase):
    def test_contains(self):
        spans = IntervalSet([(1, 3), (5, 6)])
        self.assertIn(1, spans)
        self.assertIn(2.5, spans)
        self.assertNotIn(3, spans)
        self.assertNotIn(0, spans)

    def test_union_leaves_its_arguments_alone(self):
        left, right = IntervalSet([(1, 2)]), IntervalSet([(2, 4)])
        self.assertEqual(left.union(right), IntervalSet([(1, 4)]))
        self.assertEqual(list(left), [(1, 2)])

    def test_intersection(self):
        left = IntervalSet([(0, 5), (8, 12)])
        right = IntervalSet([(3, 9)])
        self.assertEqual(list(left.intersection(right)), [(3, 5), (8, 9)])

    def test_copy_is_independent(self):
        spans = IntervalSet([(1, 2)])
        spans.copy().add(5, 6)
        self.assertEqual(len(spans), 1)


class GapsTest(unittest.TestCase):
    def setUp(self):
        self.busy = IntervalSet([(9, 10), (12, 13), (15, 17)])

    def test_between(self):
        self.assertEqual(self.busy.gaps(9, 17), [(10, 12), (13, 15)])

    def test_window_cuts_a_gap(self):
        self.assertEqual(self.busy.gaps(9, 11), [(10, 11)])

    def test_no_gap(self):
        self.assertEqual(self.busy.gaps(15, 16), [])

    def test_before_the_first(self):
        self.assertEqual(self.busy.gaps(8, 10), [(8, 9)])

    def test_after_the_last(self):
        self.assertEqual(self.busy.gaps(15, 18), [(17, 18)])

    def test_whole_day(self):
        self.assertEqual(self.busy.gaps(8, 18), [(8, 9), (10, 12), (13, 15), (17, 18)])

    def test_empty_set(self):
        self.assertEqual(IntervalSet().gaps(8, 18), [(8, 18)])

    def test_window_beside_the_set(self):
        self.assertEqual(self.busy.gaps(1, 5), [(1, 5)])
        self.assertEqual(self.busy.gaps(20, 24), [(20, 24)])
