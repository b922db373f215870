"""Tests of gridwalk.maps."""

import unittest

from gridwalk.maps import Grid

HOUSE = """
#####
#.#2#
#...#
#####
"""


class TestReading(unittest.TestCase):
    def test_size(self):
        grid = Grid(HOUSE)
        self.assertEqual((grid.height, grid.width), (4, 5))

    def test_short_rows_end_in_wall(self):
        grid = Grid("...\n.")
        self.assertEqual(grid.rows, ["...", ".##"])

    def test_nothing(self):
        with self.assertRaises(ValueError):
            Grid("\n\n")


class TestCells(unittest.TestCase):
    def test_inside(self):
        grid = Grid("..\n..")
        self.assertTrue(grid.inside((0, 0)))
        self.assertTrue(grid.inside((1, 1)))
        self.assertFalse(grid.inside((2, 0)))
        self.assertFalse(grid.inside((0, 2)))
        self.assertFalse(grid.inside((-1, 0)))
        self.assertFalse(grid.inside((0, -1)))

    def test_beyond_is_wall(self):
        self.assertEqual(Grid("..").at((1, 0)), "#")
        self.assertEqual(Grid("ab").at((0, 1)), "b")

    def test_open(self):
        grid = Grid(HOUSE)
        self.assertTrue(grid.is_open((1, 1)))
        self.assertFalse(grid.is_open((1, 2)))

    def test_cost(self):
        grid = Grid(HOUSE)
        self.assertEqual(grid.cost((1, 3)), 2)
        self.assertEqual(grid.cost((2, 1)), 1)

    def test_find_goes_row_by_row(self):
        self.assertEqual(Grid("a.a\n.a.").find("a"), [(0, 0), (0, 2), (1, 1)])
        self.assertEqual(Grid("...").find("a"), [])


class TestBeside(unittest.TestCase):
    def test_four(self):
        self.assertEqual(Grid("...\n...\n...").beside((1, 1)), [(0, 1), (1, 0), (1, 2), (2, 1)])

    def test_walls_are_left_out(self):
        self.assertEqual(Grid(HOUSE).beside((2, 2)), [(2, 1), (2, 3)])

    def test_diagonal_ones_come_last(self):
        found = Grid("...\n...\n...").beside((1, 1), diagonal=True)
        self.assertEqual(len(found), 8)
        self.assertEqual(found[4:], [(0, 0), (0, 2), (2, 0), (2, 2)])

    def test_in_a_corner(self):
        self.assertEqual(Grid("..\n..").beside((0, 0)), [(0, 1), (1, 0)])


class TestRooms(unittest.TestCase):
    def test_the_largest_comes_first(self):
        rooms = Grid(".#..\n##..\n.#..").rooms()
        self.assertEqual([len(room) for room in rooms], [6, 1, 1])
        self.assertIn((0, 2), rooms[0])

    def test_corners_do_not_join(self):
        self.assertEqual(len(Grid(".#\n#.").rooms()), 2)

    def test_all_walls(self):
        self.assertEqual(Grid("##").rooms(), [])


class TestTurned(unittest.TestCase):
    def test_to_the_right(self):
        self.assertEqual(Grid("ab\ncd\nef").turned().rows, ["eca", "fdb"])

    def test_four_times_is_as_before(self):
        grid = Grid("ab.\ncd.")
        self.assertEqual(grid.turned().turned().turned().turned().rows, grid.rows)


class TestEdge(unittest.TestCase):
    def test_open_places_of_the_border(self):
        self.assertEqual(Grid("#.#\n...\n###").edge(), [(0, 1), (1, 0), (1, 2)])

    def test_bottom_row(self):
        self.assertEqual(Grid("##\n##\n.#").edge(), [(2, 0)])


if __name__ == "__main__":
    unittest.main()
