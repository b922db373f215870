import unittest

from inifile import ConfigError, InterpolationError, loads


class ConfigTest(unittest.TestCase):
    def test_types(self):
        config = loads("[a]\nport = 8080\ndebug = Yes\nquiet = off")
        self.assertEqual(config.get_int("a", "port"), 8080)
        self.assertIs(config.get_bool("a", "debug"), True)
        self.assertIs(config.get_bool("a", "quiet"), False)

    def test_not_a_boolean(self):
        with self.assertRaises(ConfigError):
            loads("[a]\nx = maybe").get_bool("a", "x")

    def test_missing(self):
        config = loads("[a]\nx = 1")
        with self.assertRaisesRegex(ConfigError, "no section"):
            config.get("b", "x")
        with self.assertRaisesRegex(ConfigError, "no 'y'"):
            config.get("a", "y")


class InterpolationTest(unittest.TestCase):
    def test_same_section(self):
        config = loads("[a]\nhost = h\nurl = http://${host}/")
        self.assertEqual(config.get("a", "url"), "http://h/")

    def test_other_section(self):
        config = loads("[a]\nroot = /srv\n[b]\nlogs = ${a:root}/logs")
        self.assertEqual(config.get("b", "logs"), "/srv/logs")

    def test_two_steps(self):
        config = loads("[a]\nx = 1\ny = ${x}2\nz = ${y}3")
        self.assertEqual(config.get("a", "z"), "123")

    def test_same_value_twice(self):
        config = loads("[a]\nx = 1\ny = ${x}${x}\nz = ${y}-${x}")
        self.assertEqual(config.get("a", "z"), "11-1")

    def test_reference_to_nothing(self):
        with self.assertRaises(ConfigError):
            loads("[a]\nx = ${nope}").get("a", "x")

    def test_value_that_refers_to_itself(self):
        with self.assertRaisesRegex(InterpolationError, r"\[a\] x"):
            loads("[a]\nx = ${x}").get("a", "x")

    def test_circle_of_two(self):
        with self.assertRaises(InterpolationError):
            loads("[a]\nx = ${y}\ny = ${x}").get("a", "x")

    def test_circle_over_sections(self):
        with self.assertRaises(InterpolationError):
            loads("[a]\nx = ${b:y}\n[b]\ny = ${c:z}\n[c]\nz = ${a:x}").get("a", "x")

    def test_circle_beside_good_values(self):
        config = loads("[a]\nx = ${y}\ny = ${x}\ngood = 1")
        self.assertEqual(config.get("a", "good"), "1")
        with self.assertRaises(InterpolationError):
            config.items("a")
