"""Tests of ledgerbook.amounts."""

import unittest

from ledgerbook.amounts import format_amount, parse_amount, share_by_weight, split_evenly


class TestParseAmount(unittest.TestCase):
    def test_whole_and_fraction(self):
        self.assertEqual(parse_amount("12.34"), 1234)
        self.assertEqual(parse_amount(" 7 "), 700)

    def test_one_digit_behind_the_point_is_tens_of_cents(self):
        self.assertEqual(parse_amount("0.5"), 50)

    def test_nothing_before_the_point(self):
        self.assertEqual(parse_amount(".25"), 25)

    def test_thousands(self):
        self.assertEqual(parse_amount("1,234,567.80"), 123456780)

    def test_signs_and_brackets(self):
        self.assertEqual(parse_amount("-3"), -300)
        self.assertEqual(parse_amount("+3.01"), 301)
        self.assertEqual(parse_amount("(12.00)"), -1200)
        self.assertEqual(parse_amount("(-12.00)"), 1200)

    def test_an_open_bracket_is_no_amount(self):
        with self.assertRaises(ValueError):
            parse_amount("(12.00")

    def test_empty_text(self):
        with self.assertRaisesRegex(ValueError, "cannot be empty"):
            parse_amount("   ")

    def test_digits_behind_the_point(self):
        with self.assertRaisesRegex(ValueError, "one or two digits"):
            parse_amount("1.234")
        with self.assertRaisesRegex(ValueError, "one or two digits"):
            parse_amount("1.")

    def test_letters(self):
        with self.assertRaisesRegex(ValueError, "not an amount"):
            parse_amount("ten")


class TestFormatAmount(unittest.TestCase):
    def test_small_and_large(self):
        self.assertEqual(format_amount(5), "0.05")
        self.assertEqual(format_amount(0), "0.00")
        self.assertEqual(format_amount(123456789), "1,234,567.89")

    def test_negative(self):
        self.assertEqual(format_amount(-1999), "-19.99")

    def test_brackets_are_for_negative_amounts_only(self):
        self.assertEqual(format_amount(-1999, brackets=True), "(19.99)")
        self.assertEqual(format_amount(1999, brackets=True), "19.99")


class TestSplit(unittest.TestCase):
    def test_even(self):
        self.assertEqual(split_evenly(900, 3), [300, 300, 300])

    def test_larger_parts_come_first(self):
        self.assertEqual(split_evenly(1000, 3), [334, 333, 333])
        self.assertEqual(split_evenly(11, 4), [3, 3, 3, 2])

    def test_negative(self):
        self.assertEqual(split_evenly(-10, 4), [-3, -3, -2, -2])

    def test_more_parts_than_cents(self):
        self.assertEqual(split_evenly(1, 3), [1, 0, 0])

    def test_no_parts(self):
        with self.assertRaises(ValueError):
            split_evenly(10, 0)

    def test_one_part(self):
        self.assertEqual(split_evenly(77, 1), [77])


class TestShareByWeight(unittest.TestCase):
    def test_in_proportion(self):
        self.assertEqual(share_by_weight(100, [1, 3]), [25, 75])

    def test_what_is_left_goes_to_the_largest_remainder(self):
        self.assertEqual(share_by_weight(100, [1, 1, 1]), [34, 33, 33])
        self.assertEqual(share_by_weight(10, [1, 2, 3]), [2, 3, 5])

    def test_two_cents_left(self):
        self.assertEqual(share_by_weight(5, [2, 2, 3]), [2, 1, 2])

    def test_a_weight_of_nothing(self):
        self.assertEqual(share_by_weight(7, [0, 7]), [0, 7])

    def test_weights_that_are_none(self):
        with self.assertRaises(ValueError):
            share_by_weight(1, [0, 0])
        with self.assertRaises(ValueError):
            share_by_weight(1, [2, -1])


if __name__ == "__main__":
    unittest.main()
