"""Tests of almanack.lengths."""

import unittest

from almanack.lengths import ago, parse_length, show_length, unit_of


class TestParse(unittest.TestCase):
    def test_letters(self):
        self.assertEqual(parse_length("2h 30m"), 9000)
        self.assertEqual(parse_length("1w2d"), 777600)
        self.assertEqual(parse_length("45s"), 45)

    def test_words(self):
        self.assertEqual(parse_length("1 day, 2 hours"), 93600)
        self.assertEqual(parse_length("90 Minutes"), 5400)

    def test_fractions(self):
        self.assertEqual(parse_length("1.5h"), 5400)

    def test_clock(self):
        self.assertEqual(parse_length("1:30"), 5400)
        self.assertEqual(parse_length("0:01:05"), 65)
        with self.assertRaisesRegex(ValueError, "no such time"):
            parse_length("1:60")

    def test_falling(self):
        with self.assertRaisesRegex(ValueError, "must fall"):
            parse_length("30m 2h")
        with self.assertRaisesRegex(ValueError, "must fall"):
            parse_length("1h 1h")

    def test_nothing(self):
        with self.assertRaisesRegex(ValueError, "cannot be empty"):
            parse_length("  ")

    def test_no_length(self):
        with self.assertRaisesRegex(ValueError, "not a length"):
            parse_length("soon")
        with self.assertRaisesRegex(ValueError, "no such unit: parsec"):
            unit_of("parsec")

    def test_units(self):
        self.assertEqual([unit_of(name) for name in ("s", "seconds", "week", "weeks")], ["s", "s", "w", "w"])


class TestShow(unittest.TestCase):
    def test_two_units(self):
        self.assertEqual(show_length(9000), "2h 30m")
        self.assertEqual(show_length(93784), "1d 2h")

    def test_more_units(self):
        self.assertEqual(show_length(93784, most=4), "1d 2h 3m 4s")
        self.assertEqual(show_length(604800 + 1), "1w 1s")

    def test_nothing_and_negative(self):
        self.assertEqual(show_length(0), "0s")
        self.assertEqual(show_length(-61), "-1m 1s")

    def test_there_and_back(self):
        for seconds in (1, 59, 60, 3599, 86400, 700000):
            self.assertEqual(parse_length(show_length(seconds, most=5)), seconds)


class TestAgo(unittest.TestCase):
    def test_just_now(self):
        self.assertEqual(ago(44), "just now")

    def test_units(self):
        self.assertEqual(ago(45), "a minute ago")
        self.assertEqual(ago(150), "3 minutes ago")
        self.assertEqual(ago(3600), "an hour ago")
        self.assertEqual(ago(2 * 86400), "2 days ago")
        self.assertEqual(ago(15 * 86400), "2 weeks ago")

    def test_three_quarters_of_a_unit_are_one(self):
        self.assertEqual(ago(2700), "an hour ago")
        self.assertEqual(ago(2699), "45 minutes ago")


if __name__ == "__main__":
    unittest.main()
