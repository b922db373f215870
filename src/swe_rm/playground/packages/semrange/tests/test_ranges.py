"""Tests of semrange.ranges."""

import unittest

from semrange.ranges import Range, first_counting, grouped, newest, upgrades
from semrange.versions import Version


def inside(text, versions):
    return [version for version in versions if Version(version) in Range(text)]


class TestComparisons(unittest.TestCase):
    def test_each_sign(self):
        versions = ["1.0", "1.1", "1.2"]
        self.assertEqual(inside(">=1.1", versions), ["1.1", "1.2"])
        self.assertEqual(inside(">1.1", versions), ["1.2"])
        self.assertEqual(inside("<=1.1", versions), ["1.0", "1.1"])
        self.assertEqual(inside("<1.1", versions), ["1.0"])
        self.assertEqual(inside("!=1.1", versions), ["1.0", "1.2"])
        self.assertEqual(inside("==1.1", versions), ["1.1"])
        self.assertEqual(inside("1.1", versions), ["1.1"])

    def test_all_must_hold(self):
        self.assertEqual(inside(">=1.1, <1.3", ["1.0", "1.1", "1.2", "1.3"]), ["1.1", "1.2"])

    def test_alternatives(self):
        self.assertEqual(inside("<1 || >=2", ["0.9", "1.5", "2.0"]), ["0.9", "2.0"])

    def test_star(self):
        self.assertEqual(inside("*", ["0.1", "9.9"]), ["0.1", "9.9"])
        self.assertEqual(inside("1.2.*", ["1.1.9", "1.2.0", "1.2.7", "1.3.0"]), ["1.2.0", "1.2.7"])
        self.assertEqual(inside("1.*", ["0.9", "1.0", "1.9", "2.0"]), ["1.0", "1.9"])

    def test_a_star_with_a_sign(self):
        with self.assertRaisesRegex(ValueError, "a star does not go with >="):
            Range(">=1.*")

    def test_no_clause(self):
        with self.assertRaises(ValueError):
            Range(">= 1.0 2.0")

    def test_written(self):
        self.assertEqual(repr(Range("^1")), "Range('^1')")


class TestCaretAndTilde(unittest.TestCase):
    def test_caret_holds_the_first_number_that_counts(self):
        self.assertEqual(inside("^1.4", ["1.3.9", "1.4.0", "1.9.0", "2.0.0"]), ["1.4.0", "1.9.0"])
        self.assertEqual(inside("^0.2.3", ["0.2.2", "0.2.3", "0.2.9", "0.3.0"]), ["0.2.3", "0.2.9"])
        self.assertEqual(inside("^0.0.3", ["0.0.2", "0.0.3", "0.0.4"]), ["0.0.3"])

    def test_first_counting(self):
        self.assertEqual(first_counting(Version("1.0.0")), "major")
        self.assertEqual(first_counting(Version("0.1.0")), "minor")
        self.assertEqual(first_counting(Version("0.0.0")), "patch")

    def test_tilde(self):
        self.assertEqual(inside("~1.4.2", ["1.4.1", "1.4.2", "1.4.9", "1.5.0"]), ["1.4.2", "1.4.9"])
        self.assertEqual(inside("~1", ["1.0.0", "1.9.0", "2.0.0"]), ["1.0.0", "1.9.0"])


class TestNewest(unittest.TestCase):
    def test_by_number(self):
        self.assertEqual(newest(["1.2", "1.10", "1.9"]), "1.10")

    def test_in_a_range(self):
        self.assertEqual(newest(["1.2", "1.10", "2.0"], "<2"), "1.10")

    def test_early_ones_if_asked(self):
        versions = ["1.0.0", "1.1.0-rc.1"]
        self.assertEqual(newest(versions), "1.0.0")
        self.assertEqual(newest(versions, early=True), "1.1.0-rc.1")

    def test_early_ones_where_nothing_else_fits(self):
        self.assertEqual(newest(["1.0.0", "2.0.0-rc.1"], ">1"), "2.0.0-rc.1")

    def test_nothing_fits(self):
        self.assertIsNone(newest(["1.0"], ">=2"))


class TestGrouped(unittest.TestCase):
    def test_newest_first(self):
        self.assertEqual(
            grouped(["1.0.0", "1.1.0", "1.0.9", "1.0.10"]), {"1.1": ["1.1.0"], "1.0": ["1.0.10", "1.0.9", "1.0.0"]}
        )


class TestUpgrades(unittest.TestCase):
    def test_newest_of_each_step(self):
        versions = ["1.2.3", "1.2.4", "1.2.10", "1.3.0", "1.4.0", "2.0.0", "3.0.0-rc.1", "1.0.0"]
        self.assertEqual(upgrades("1.2.3", versions), {"patch": "1.2.10", "minor": "1.4.0", "major": "2.0.0"})

    def test_none(self):
        self.assertEqual(upgrades("2.0.0", ["1.0.0", "2.0.0"]), {})


if __name__ == "__main__":
    unittest.main()
