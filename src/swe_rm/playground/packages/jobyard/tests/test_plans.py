"""Tests of jobyard.plans."""

import unittest

from jobyard.plans import CycleError, critical, earliest, idle, levels, order, schedule

HOUSE = {"walls": ["ground"], "roof": ["walls"], "doors": ["walls"], "paint": ["roof", "doors"]}
DAYS = {"ground": 2, "walls": 4, "roof": 3, "doors": 1, "paint": 2}


class TestOrder(unittest.TestCase):
    def test_each_behind_what_it_needs(self):
        self.assertEqual(order(HOUSE), ["ground", "walls", "doors", "roof", "paint"])

    def test_alphabet(self):
        self.assertEqual(order({"c": [], "a": [], "b": []}), ["a", "b", "c"])
        self.assertEqual(order({"a": ["z"], "b": []}), ["b", "z", "a"])

    def test_named_twice(self):
        self.assertEqual(order({"b": ["a", "a"]}), ["a", "b"])

    def test_cycle(self):
        with self.assertRaisesRegex(CycleError, "wait for each other: a, b$"):
            order({"a": ["b"], "b": ["a"], "c": []})

    def test_itself(self):
        with self.assertRaises(CycleError):
            order({"a": ["a"]})

    def test_nothing(self):
        self.assertEqual(order({}), [])


class TestLevels(unittest.TestCase):
    def test_house(self):
        self.assertEqual(levels(HOUSE), {"ground": 0, "walls": 1, "doors": 2, "roof": 2, "paint": 3})

    def test_the_longest_way_counts(self):
        self.assertEqual(levels({"b": ["a"], "c": ["a", "b"]})["c"], 2)


class TestEarliest(unittest.TestCase):
    def test_house(self):
        self.assertEqual(earliest(HOUSE, DAYS), {"ground": 0, "walls": 2, "doors": 6, "roof": 6, "paint": 9})


class TestCritical(unittest.TestCase):
    def test_house(self):
        self.assertEqual(critical(HOUSE, DAYS), ["ground", "walls", "roof", "paint"])

    def test_alone(self):
        self.assertEqual(critical({"a": [], "b": []}, {"a": 1, "b": 5}), ["b"])

    def test_of_two_the_first(self):
        self.assertEqual(critical({"a": [], "b": []}, {"a": 3, "b": 3}), ["a"])

    def test_nothing(self):
        self.assertEqual(critical({}, {}), [])


class TestSchedule(unittest.TestCase):
    def test_one_machine(self):
        plan = schedule(HOUSE, DAYS, 1)
        self.assertEqual({job: start for job, (_, start) in plan.items()}, {
            "ground": 0, "walls": 2, "roof": 6, "doors": 9, "paint": 10,
        })  # fmt: skip

    def test_two_machines(self):
        self.assertEqual(
            schedule(HOUSE, DAYS, 2),
            {"ground": (0, 0), "walls": (0, 2), "roof": (0, 6), "doors": (1, 6), "paint": (0, 9)},
        )

    def test_the_longest_comes_first(self):
        plan = schedule({"a": [], "b": [], "c": []}, {"a": 1, "b": 5, "c": 2}, 1)
        self.assertEqual(sorted(plan, key=plan.get), ["b", "c", "a"])

    def test_a_machine_that_is_free_takes_the_next(self):
        plan = schedule({"a": [], "b": [], "c": []}, {"a": 4, "b": 3, "c": 2}, 2)
        self.assertEqual(plan["c"], (1, 3))

    def test_no_machine(self):
        with self.assertRaises(ValueError):
            schedule({}, {}, 0)


class TestIdle(unittest.TestCase):
    def test_house(self):
        self.assertEqual(idle(schedule(HOUSE, DAYS, 2), DAYS, 2), 10)
        self.assertEqual(idle(schedule(HOUSE, DAYS, 1), DAYS, 1), 0)

    def test_nothing(self):
        self.assertEqual(idle({}, {}, 3), 0)


if __name__ == "__main__":
    unittest.main()
