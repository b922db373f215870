"""Tests of calcline.reading."""

import unittest

from calcline.reading import ParseError, parse, tokens


class TestTokens(unittest.TestCase):
    def test_numbers_names_and_signs(self):
        self.assertEqual(tokens("2*x_1 + .5"), ["2", "*", "x_1", "+", ".5"])

    def test_no_spaces_are_needed(self):
        self.assertEqual(tokens("max(1,22)"), ["max", "(", "1", ",", "22", ")"])

    def test_numbers_end_where_names_begin(self):
        self.assertEqual(tokens("12ab"), ["12", "ab"])

    def test_no_number(self):
        for text in ("1.2.3", "."):
            with self.assertRaisesRegex(ParseError, "not a number"):
                tokens(text)

    def test_no_sign(self):
        with self.assertRaisesRegex(ParseError, "no such sign: !"):
            tokens("2!")

    def test_nothing(self):
        self.assertEqual(tokens("  "), [])


class TestParse(unittest.TestCase):
    def test_products_bind_more_tightly(self):
        self.assertEqual(parse("1+2*3"), ("+", 1.0, ("*", 2.0, 3.0)))
        self.assertEqual(parse("1*2+3"), ("+", ("*", 1.0, 2.0), 3.0))

    def test_from_the_left(self):
        self.assertEqual(parse("1-2-3"), ("-", ("-", 1.0, 2.0), 3.0))
        self.assertEqual(parse("8/4/2"), ("/", ("/", 8.0, 4.0), 2.0))

    def test_powers_from_the_right(self):
        self.assertEqual(parse("2^3^4"), ("^", 2.0, ("^", 3.0, 4.0)))

    def test_brackets(self):
        self.assertEqual(parse("(1+2)*3"), ("*", ("+", 1.0, 2.0), 3.0))

    def test_signs_before(self):
        self.assertEqual(parse("-x"), ("neg", "x"))
        self.assertEqual(parse("+x"), "x")
        self.assertEqual(parse("-x^2"), ("neg", ("^", "x", 2.0)))
        self.assertEqual(parse("-x*2"), ("*", ("neg", "x"), 2.0))
        self.assertEqual(parse("2^-1"), ("^", 2.0, ("neg", 1.0)))

    def test_calls(self):
        self.assertEqual(parse("f()"), ("call", "f", []))
        self.assertEqual(parse("max(1, x+2)"), ("call", "max", [1.0, ("+", "x", 2.0)]))

    def test_too_early(self):
        for text in ("", "1+", "(1", "f(1,"):
            with self.assertRaisesRegex(ParseError, "ends too early"):
                parse(text)

    def test_too_much(self):
        with self.assertRaisesRegex(ParseError, "unexpected 2"):
            parse("1 2")
        with self.assertRaisesRegex(ParseError, r"unexpected \*"):
            parse("*2")

    def test_wrong_bracket(self):
        with self.assertRaisesRegex(ParseError, r"\) expected, not ,"):
            parse("(1,2)")


if __name__ == "__main__":
    unittest.main()
