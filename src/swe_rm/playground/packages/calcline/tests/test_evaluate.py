"""Tests of calcline.evaluate."""

import math
import unittest

from calcline.evaluate import derivative, evaluate, shortened, variables, written
from calcline.reading import parse


class TestEvaluate(unittest.TestCase):
    def test_signs(self):
        self.assertEqual(evaluate("7 + 2"), 9)
        self.assertEqual(evaluate("7 - 2"), 5)
        self.assertEqual(evaluate("7 * 2"), 14)
        self.assertEqual(evaluate("7 / 2"), 3.5)
        self.assertEqual(evaluate("7 % 2"), 1)
        self.assertEqual(evaluate("7 ^ 2"), 49)

    def test_negative(self):
        self.assertEqual(evaluate("-3 + 1"), -2)

    def test_names(self):
        self.assertEqual(evaluate("2 * x + y", {"x": 3, "y": 1}), 7)

    def test_constants(self):
        self.assertEqual(evaluate("pi"), math.pi)
        self.assertEqual(evaluate("pi", {"pi": 3}), 3)

    def test_unknown_names(self):
        with self.assertRaisesRegex(NameError, "no such name: z"):
            evaluate("z")
        with self.assertRaisesRegex(NameError, "no such function: f"):
            evaluate("f(1)")

    def test_division_by_nothing(self):
        for text in ("1 / 0", "1 % 0"):
            with self.assertRaises(ZeroDivisionError):
                evaluate(text)


class TestCalls(unittest.TestCase):
    def test_functions(self):
        self.assertEqual(evaluate("sqrt(9) + abs(-2) + floor(1.7)"), 6)

    def test_any_number(self):
        self.assertEqual(evaluate("max(1, 5, 3)"), 5)
        self.assertEqual(evaluate("min(4, 2)"), 2)

    def test_log_has_a_base(self):
        self.assertAlmostEqual(evaluate("log(8, 2)"), 3)

    def test_wrong_number(self):
        with self.assertRaisesRegex(TypeError, "sqrt takes 1, not 2"):
            evaluate("sqrt(1, 2)")
        with self.assertRaisesRegex(TypeError, "max takes one at least"):
            evaluate("max()")


class TestVariables(unittest.TestCase):
    def test_in_order_and_once(self):
        self.assertEqual(variables("b * a + a"), ["a", "b"])

    def test_constants_and_functions_are_none(self):
        self.assertEqual(variables("max(x, pi) + 2"), ["x"])

    def test_behind_a_sign(self):
        self.assertEqual(variables("-y"), ["y"])


class TestShortened(unittest.TestCase):
    def short(self, text):
        return written(shortened(parse(text)))

    def test_zeros(self):
        self.assertEqual(self.short("x + 0"), "x")
        self.assertEqual(self.short("0 + x"), "x")
        self.assertEqual(self.short("x - 0"), "x")
        self.assertEqual(self.short("0 - x"), "0 - x")
        self.assertEqual(self.short("0 * x"), "0")
        self.assertEqual(self.short("x * 0"), "0")

    def test_ones(self):
        self.assertEqual(self.short("1 * x"), "x")
        self.assertEqual(self.short("x * 1"), "x")
        self.assertEqual(self.short("x / 1"), "x")
        self.assertEqual(self.short("x ^ 1"), "x")
        self.assertEqual(self.short("1 / x"), "1 / x")

    def test_numbers_are_worked_out(self):
        self.assertEqual(self.short("2 * 3 + x"), "6 + x")

    def test_division_by_zero_is_left(self):
        self.assertEqual(self.short("1 / 0"), "1 / 0")

    def test_two_signs(self):
        self.assertEqual(shortened(("neg", ("neg", "x"))), "x")
        self.assertEqual(shortened(("neg", 2.0)), -2.0)


class TestDerivative(unittest.TestCase):
    def of(self, text):
        return written(derivative(parse(text), "x"))

    def test_sums(self):
        self.assertEqual(self.of("x + 3"), "1")
        self.assertEqual(self.of("5 - x"), "-1")

    def test_products(self):
        self.assertEqual(self.of("2 * x"), "2")
        self.assertEqual(self.of("x * y"), "y")
        self.assertEqual(self.of("x * x"), "x + x")

    def test_powers(self):
        self.assertEqual(self.of("x ^ 3"), "3 * x ^ 2")
        self.assertEqual(self.of("x ^ 2"), "2 * x")

    def test_behind_a_sign(self):
        self.assertEqual(self.of("-x"), "-1")

    def test_no_rule(self):
        with self.assertRaises(ValueError):
            self.of("2 ^ x")


class TestWritten(unittest.TestCase):
    def test_brackets_only_where_needed(self):
        for text in ("1 + 2 * 3", "(1 + 2) * 3", "1 - (2 - 3)", "(2 ^ 3) ^ 4", "2 ^ 3 ^ 4", "-x * 2", "-(x + 1)"):
            self.assertEqual(written(parse(text)), text)

    def test_calls_and_numbers(self):
        self.assertEqual(written(parse("max( 1,2.5 )")), "max(1, 2.5)")


if __name__ == "__main__":
    unittest.main()
