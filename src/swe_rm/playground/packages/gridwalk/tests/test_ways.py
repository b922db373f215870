"""Tests of gridwalk.ways."""

import unittest

from gridwalk.maps import Grid
from gridwalk.ways import cheapest, distances, farthest, line, sees, shortest, visit_order

RING = """
.....
.###.
.....
"""


class TestDistances(unittest.TestCase):
    def test_around_a_wall(self):
        steps = distances(Grid(RING), (0, 2))
        self.assertEqual(steps[0, 2], 0)
        self.assertEqual(steps[1, 0], 3)
        self.assertEqual(steps[2, 2], 6)

    def test_within_some_steps(self):
        steps = distances(Grid("....."), (0, 0), most=2)
        self.assertEqual(steps, {(0, 0): 0, (0, 1): 1, (0, 2): 2})

    def test_what_cannot_be_reached_is_left_out(self):
        self.assertNotIn((0, 2), distances(Grid(".#."), (0, 0)))

    def test_no_steps_at_all(self):
        self.assertEqual(distances(Grid(".."), (0, 0), most=0), {(0, 0): 0})

    def test_from_a_wall(self):
        with self.assertRaises(ValueError):
            distances(Grid("#."), (0, 0))


class TestShortest(unittest.TestCase):
    def test_both_ends_are_in(self):
        self.assertEqual(shortest(Grid("..."), (0, 0), (0, 2)), [(0, 0), (0, 1), (0, 2)])

    def test_length(self):
        self.assertEqual(len(shortest(Grid(RING), (0, 2), (2, 2))), 7)

    def test_no_way(self):
        self.assertEqual(shortest(Grid(".#."), (0, 0), (0, 2)), [])

    def test_into_a_wall(self):
        self.assertEqual(shortest(Grid(".#"), (0, 0), (0, 1)), [])

    def test_already_there(self):
        self.assertEqual(shortest(Grid(".."), (0, 1), (0, 1)), [(0, 1)])


class TestCheapest(unittest.TestCase):
    def test_a_longer_way_may_be_cheaper(self):
        cost, way = cheapest(Grid(".9.\n..."), (0, 0), (0, 2))
        self.assertEqual(cost, 4)
        self.assertEqual(way, [(0, 0), (1, 0), (1, 1), (1, 2), (0, 2)])

    def test_the_start_is_free(self):
        self.assertEqual(cheapest(Grid("53"), (0, 0), (0, 1))[0], 3)
        self.assertEqual(cheapest(Grid("53"), (0, 0), (0, 0)), (0, [(0, 0)]))

    def test_a_dear_place_on_the_only_way(self):
        self.assertEqual(cheapest(Grid(".7."), (0, 0), (0, 2))[0], 8)

    def test_no_way(self):
        with self.assertRaises(LookupError):
            cheapest(Grid(".#."), (0, 0), (0, 2))


class TestLine(unittest.TestCase):
    def test_straight(self):
        self.assertEqual(line((0, 0), (0, 3)), [(0, 0), (0, 1), (0, 2), (0, 3)])
        self.assertEqual(line((2, 1), (0, 1)), [(2, 1), (1, 1), (0, 1)])

    def test_slanted(self):
        self.assertEqual(line((0, 0), (2, 4)), [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4)])

    def test_a_point(self):
        self.assertEqual(line((1, 1), (1, 1)), [(1, 1)])


class TestSees(unittest.TestCase):
    def test_walls_hide(self):
        self.assertFalse(sees(Grid(".#."), (0, 0), (0, 2)))
        self.assertTrue(sees(Grid("..."), (0, 0), (0, 2)))

    def test_the_ends_do_not_count(self):
        self.assertTrue(sees(Grid("#.#"), (0, 0), (0, 2)))


class TestFarthest(unittest.TestCase):
    def test_across_the_ring(self):
        self.assertEqual(farthest(Grid(RING), (0, 2)), ((2, 2), 6))

    def test_of_several_the_first(self):
        self.assertEqual(farthest(Grid("..."), (0, 1)), ((0, 0), 1))


class TestVisitOrder(unittest.TestCase):
    def test_the_nearest_is_next(self):
        self.assertEqual(visit_order(Grid("......."), (0, 3), [(0, 0), (0, 6), (0, 4)]), [(0, 4), (0, 6), (0, 0)])

    def test_ties_go_row_by_row(self):
        self.assertEqual(visit_order(Grid("..."), (0, 1), [(0, 2), (0, 0)]), [(0, 0), (0, 2)])

    def test_what_cannot_be_reached(self):
        self.assertEqual(visit_order(Grid("..#."), (0, 0), [(0, 3), (0, 1)]), [(0, 1)])


if __name__ == "__main__":
    unittest.main()
