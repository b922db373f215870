"""Tests of tidytext.templates."""

import unittest

from tidytext.templates import TemplateError, fill


class TestNames(unittest.TestCase):
    def test_values(self):
        self.assertEqual(fill("Dear {name}, {n} lamps", {"name": "Ann", "n": 3}), "Dear Ann, 3 lamps")

    def test_braces(self):
        self.assertEqual(fill("{{x}} {x}", {"x": 1}), "{x} 1")

    def test_within(self):
        values = {"user": {"names": ["Ann", "Bo"]}}
        self.assertEqual(fill("{user.names.1}", values), "Bo")

    def test_no_such_name(self):
        for template in ("{y}", "{x.y}", "{xs.2}"):
            with self.assertRaisesRegex(TemplateError, "no such name"):
                fill(template, {"x": {}, "xs": [1, 2]})


class TestFilters(unittest.TestCase):
    def test_one_and_several(self):
        self.assertEqual(fill("{x|upper}", {"x": "ab"}), "AB")
        self.assertEqual(fill("<{x|trim|title}>", {"x": " ann lee "}), "<Ann Lee>")
        self.assertEqual(fill("{x|lower}", {"x": "AB"}), "ab")

    def test_size_is_of_the_value(self):
        self.assertEqual(fill("{xs|size}", {"xs": [10, 20, 30]}), "3")

    def test_or(self):
        self.assertEqual(fill("{x|or nobody}", {}), "nobody")
        self.assertEqual(fill("{x|or nobody}", {"x": "Ann"}), "Ann")
        self.assertEqual(fill("{x|or nobody|upper}", {}), "NOBODY")

    def test_no_such_filter(self):
        with self.assertRaisesRegex(TemplateError, "no such filter: loud"):
            fill("{x|loud}", {"x": 1})


class TestLoops(unittest.TestCase):
    def test_each_item(self):
        self.assertEqual(fill("{% for x in xs %}{x};{% end %}!", {"xs": [1, 2]}), "1;2;!")

    def test_no_items(self):
        self.assertEqual(fill("{% for x in xs %}{x.y}{% end %}.", {"xs": []}), ".")

    def test_loops_in_loops(self):
        template = "{% for row in rows %}{% for x in row %}{x}{% end %}/{% end %}"
        self.assertEqual(fill(template, {"rows": [[1, 2], [3]]}), "12/3/")

    def test_names_of_a_loop_end_with_it(self):
        self.assertEqual(fill("{% for x in xs %}{x}{% end %}{x}", {"xs": [1, 2], "x": 9}), "129")

    def test_not_ended(self):
        with self.assertRaisesRegex(TemplateError, "not ended"):
            fill("{% for x in xs %}{x}", {"xs": []})


class TestConditions(unittest.TestCase):
    def test_if(self):
        self.assertEqual(fill("a{% if x %}b{% end %}c", {"x": True}), "abc")
        self.assertEqual(fill("a{% if x %}{y}{% end %}c", {"x": 0}), "ac")

    def test_else(self):
        template = "{% if x %}yes{% else %}no{% end %}"
        self.assertEqual([fill(template, {"x": x}) for x in (1, 0)], ["yes", "no"])

    def test_not(self):
        template = "{% if not x %}none{% else %}{x}{% end %}"
        self.assertEqual([fill(template, {"x": x}) for x in (0, 5)], ["none", "5"])

    def test_conditions_in_loops(self):
        template = "{% for x in xs %}{% if x %}{x}{% else %}-{% end %}{% end %}"
        self.assertEqual(fill(template, {"xs": [1, 0, 2]}), "1-2")

    def test_no_condition(self):
        with self.assertRaisesRegex(TemplateError, "not a condition"):
            fill("{% if x y %}{% end %}", {"x": 1, "y": 1})

    def test_no_statement(self):
        with self.assertRaisesRegex(TemplateError, "no such statement"):
            fill("{% while x %}{% end %}", {})

    def test_an_end_too_many(self):
        with self.assertRaisesRegex(TemplateError, "unexpected"):
            fill("a{% end %}", {})


if __name__ == "__main__":
    unittest.main()
