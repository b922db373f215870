import unittest

from durations import DurationError, parse_duration


class ParseTest(unittest.TestCase):
    def test_single_units(self):
        self.assertEqual(parse_duration("45s"), 45)
        self.assertEqual(parse_duration("2m"), 120)
        self.assertEqual(parse_duration("3h"), 10800)
        self.assertEqual(parse_duration("1w"), 604800)

    def test_several_units(self):
        self.assertEqual(parse_duration("1h 30m"), 5400)
        self.assertEqual(parse_duration("1d2h3m4s"), 93784)

    def test_case_and_spaces(self):
        self.assertEqual(parse_duration("  1H 5 M "), 3900)

    def test_fraction(self):
        self.assertEqual(parse_duration("1.5h"), 5400)

    def test_milliseconds_are_not_minutes(self):
        self.assertAlmostEqual(parse_duration("250ms"), 0.25)

    def test_sign(self):
        self.assertEqual(parse_duration("-90s"), -90)
        self.assertEqual(parse_duration("+ 1m"), 60)

    def test_order_is_free(self):
        self.assertEqual(parse_duration("5m 1h"), 3900)

    def test_empty(self):
        for text in ("", "   ", "-"):
            with self.assertRaises(DurationError):
                parse_duration(text)

    def test_same_unit_twice(self):
        with self.assertRaises(DurationError):
            parse_duration("5m 6m")

    def test_number_without_unit_at_the_end(self):
        with self.assertRaises(DurationError):
            parse_duration("1h30")

    def test_trailing_text(self):
        with self.assertRaises(DurationError):
            parse_duration("1h foo")

    def test_text_between_parts(self):
        for text in ("1h, 5m", "1h and 5m"):
            with self.assertRaises(DurationError):
                parse_duration(text)

    def test_leading_text(self):
        with self.assertRaises(DurationError):
            parse_duration("about 2h")

    def test_message_names_the_text(self):
        with self.assertRaisesRegex(DurationError, "1h!"):
            parse_duration("1h!")


class IsoTest(unittest.TestCase):
    def test_iso(self):
        self.assertEqual(parse_duration("PT1H30M"), 5400)
        self.assertEqual(parse_duration("p2dt1s"), 172801)
        self.assertEqual(parse_duration("-PT0.5S"), -0.5)

    def test_iso_without_parts(self):
        for text in ("P", "PT", "P1H"):
            with self.assertRaises(DurationError):
                parse_duration(text)
