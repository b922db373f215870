"""Tests of semrange.versions."""

import unittest

from semrange.versions import Version


class TestReading(unittest.TestCase):
    def test_three_numbers(self):
        self.assertEqual(Version("1.20.3").numbers, (1, 20, 3))

    def test_what_is_missing_is_zero(self):
        self.assertEqual(Version("v2").numbers, (2, 0, 0))
        self.assertEqual(Version(" 2.5 ").numbers, (2, 5, 0))

    def test_early(self):
        self.assertEqual(Version("1.0.0-rc.1").before, ("rc", "1"))
        self.assertFalse(Version("1.0.0-rc.1").is_release)
        self.assertTrue(Version("1.0.0").is_release)

    def test_what_is_behind_a_plus_does_not_count(self):
        self.assertEqual(Version("1.0.0+local.5"), Version("1.0.0"))

    def test_no_version(self):
        for text in ("", "one", "1.2.3.4", "1..2"):
            with self.assertRaises(ValueError):
                Version(text)

    def test_written(self):
        self.assertEqual(repr(Version("v1.2-rc.1")), "1.2.0-rc.1")
        self.assertEqual(repr(Version("3")), "3.0.0")


class TestOrder(unittest.TestCase):
    def test_numbers_are_no_text(self):
        self.assertLess(Version("1.9.0"), Version("1.10.0"))

    def test_early_ones_come_before_the_release(self):
        self.assertLess(Version("1.0.0-rc.1"), Version("1.0.0"))
        self.assertGreater(Version("1.0.1-rc.1"), Version("1.0.0"))

    def test_numbers_come_before_words(self):
        self.assertLess(Version("1.0.0-2"), Version("1.0.0-10"))
        self.assertLess(Version("1.0.0-10"), Version("1.0.0-alpha"))
        self.assertLess(Version("1.0.0-alpha"), Version("1.0.0-beta"))

    def test_longer_is_later(self):
        self.assertLess(Version("1.0.0-rc"), Version("1.0.0-rc.1"))

    def test_equal_ones_have_equal_hashes(self):
        self.assertEqual(len({Version("1.0"), Version("1.0.0"), Version("1.0.1")}), 2)

    def test_something_else(self):
        self.assertNotEqual(Version("1.0"), "1.0")


class TestBumped(unittest.TestCase):
    def test_places(self):
        self.assertEqual(repr(Version("1.2.3").bumped("major")), "2.0.0")
        self.assertEqual(repr(Version("1.2.3").bumped("minor")), "1.3.0")
        self.assertEqual(repr(Version("1.2.3").bumped("patch")), "1.2.4")

    def test_an_early_one_becomes_its_release(self):
        self.assertEqual(repr(Version("1.2.3-rc.1").bumped("patch")), "1.2.3")

    def test_no_such_place(self):
        with self.assertRaises(ValueError):
            Version("1.0").bumped("first")


class TestDistance(unittest.TestCase):
    def test_first_difference(self):
        self.assertEqual(Version("1.2.3").distance(Version("2.2.3")), "major")
        self.assertEqual(Version("1.2.3").distance(Version("1.3.3")), "minor")
        self.assertEqual(Version("1.2.3").distance(Version("1.2.4")), "patch")

    def test_early_and_same(self):
        self.assertEqual(Version("1.2.3-rc").distance(Version("1.2.3")), "early")
        self.assertEqual(Version("1.2.3").distance(Version("1.2.3")), "same")


if __name__ == "__main__":
    unittest.main()
