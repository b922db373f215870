import unittest

from durations import format_clock, format_duration, parse_duration


class FormatTest(unittest.TestCase):
    def test_parts(self):
        self.assertEqual(format_duration(45), "45s")
        self.assertEqual(format_duration(5400), "1h 30m")
        self.assertEqual(format_duration(90061), "1d 1h 1m 1s")

    def test_zero(self):
        self.assertEqual(format_duration(0), "0s")

    def test_precision(self):
        self.assertEqual(format_duration(61.25, precision=2), "1m 1.25s")
        self.assertEqual(format_duration(1.5, precision=3), "1.5s")

    def test_fraction_is_rounded(self):
        self.assertEqual(format_duration(1.6), "2s")

    def test_less_than_half_a_second_is_zero(self):
        self.assertEqual(format_duration(0.2), "0s")
        self.assertEqual(format_duration(-0.2), "0s")

    def test_negative(self):
        self.assertEqual(format_duration(-90), "-1m 30s")

    def test_negative_days(self):
        self.assertEqual(format_duration(-90061), "-1d 1h 1m 1s")

    def test_negative_fraction(self):
        self.assertEqual(format_duration(-1.25, precision=2), "-1.25s")

    def test_seconds_carry_into_minutes(self):
        self.assertEqual(format_duration(59.7), "1m")
        self.assertEqual(format_duration(119.9), "2m")

    def test_carry_runs_through_all_units(self):
        self.assertEqual(format_duration(3599.8), "1h")
        self.assertEqual(format_duration(86399.6), "1d")

    def test_carry_with_precision(self):
        self.assertEqual(format_duration(59.996, precision=2), "1m")

    def test_not_finite(self):
        with self.assertRaises(ValueError):
            format_duration(float("nan"))

    def test_round_trip(self):
        for seconds in (1, 59, 60, 3601, 172799):
            self.assertEqual(parse_duration(format_duration(seconds)), seconds)


class ClockTest(unittest.TestCase):
    def test_clock(self):
        self.assertEqual(format_clock(0), "0:00:00")
        self.assertEqual(format_clock(3661.9), "1:01:01")

    def test_clock_refuses_negative(self):
        with self.assertRaises(ValueError):
            format_clock(-1)
