import unittest

from inifile import ParseError, loads


class ReaderTest(unittest.TestCase):
    def test_sections_and_values(self):
        config = loads("[a]\nx = 1\n[b]\ny: two words\n")
        self.assertEqual(config.sections(), ["a", "b"])
        self.assertEqual(config.get("a", "x"), "1")
        self.assertEqual(config.get("b", "y"), "two words")

    def test_first_separator_counts(self):
        config = loads("[a]\nurl: http://host/?a=b\nexpr = a:b\n")
        self.assertEqual(config.get("a", "url"), "http://host/?a=b")
        self.assertEqual(config.get("a", "expr"), "a:b")

    def test_keys_ignore_case(self):
        self.assertEqual(loads("[a]\nHost = x").get("a", "HOST"), "x")

    def test_section_again_adds(self):
        config = loads("[a]\nx = 1\n[b]\n[a]\ny = 2")
        self.assertEqual(config.items("a"), {"x": "1", "y": "2"})

    def test_value_before_section(self):
        with self.assertRaisesRegex(ParseError, "^1:"):
            loads("x = 1")

    def test_line_without_separator(self):
        with self.assertRaisesRegex(ParseError, "^2:"):
            loads("[a]\njust words")

    def test_empty_value(self):
        self.assertEqual(loads("[a]\nx =").get("a", "x"), "")


class CommentTest(unittest.TestCase):
    def test_whole_line(self):
        self.assertEqual(loads("# one\n[a]\n; two\nx = 1").items("a"), {"x": "1"})

    def test_after_a_value(self):
        self.assertEqual(loads("[a]\nx = 1 # one").get("a", "x"), "1")
        self.assertEqual(loads("[a]\nx = 1\t; one").get("a", "x"), "1")

    def test_hash_inside_a_word(self):
        self.assertEqual(loads("[a]\ncolor = x#fff").get("a", "color"), "x#fff")

    def test_quotes_are_removed(self):
        self.assertEqual(loads('[a]\nx = " padded "').get("a", "x"), " padded ")

    def test_comment_after_a_quoted_value(self):
        self.assertEqual(loads('[a]\nx = "one" # two').get("a", "x"), "one")

    def test_hash_in_double_quotes(self):
        self.assertEqual(
            loads('[a]\nmotto = "say # hello"').get("a", "motto"), "say # hello"
        )

    def test_semicolon_in_single_quotes(self):
        self.assertEqual(loads("[a]\nsql = 'a ; b'").get("a", "sql"), "a ; b")

    def test_quoted_value_and_comment(self):
        self.assertEqual(
            loads("[a]\nx = 'one # two' # three").get("a", "x"), "one # two"
        )

    def test_other_quote_inside(self):
        self.assertEqual(loads('[a]\nx = "it\'s # 1"').get("a", "x"), "it's # 1")
