import unittest

from semver import VersionError, satisfies


class ComparisonTest(unittest.TestCase):
    def test_single(self):
        self.assertTrue(satisfies("1.2.3", ">=1.2.3"))
        self.assertFalse(satisfies("1.2.3", ">1.2.3"))
        self.assertTrue(satisfies("1.2.3", "=1.2.3"))
        self.assertTrue(satisfies("1.2.3", "1.2.3"))

    def test_and(self):
        self.assertTrue(satisfies("1.5.0", ">=1.0.0 <2.0.0"))
        self.assertFalse(satisfies("2.0.0", ">=1.0.0 <2.0.0"))

    def test_or(self):
        self.assertTrue(satisfies("3.1.0", "^1.0.0 || ^3.0.0"))
        self.assertFalse(satisfies("2.1.0", "^1.0.0 || ^3.0.0"))

    def test_empty(self):
        with self.assertRaises(VersionError):
            satisfies("1.0.0", "")


class TildeTest(unittest.TestCase):
    def test_tilde(self):
        self.assertTrue(satisfies("1.2.9", "~1.2.3"))
        self.assertFalse(satisfies("1.2.2", "~1.2.3"))
        self.assertFalse(satisfies("1.3.0", "~1.2.3"))


class CaretTest(unittest.TestCase):
    def test_from_one_on(self):
        self.assertTrue(satisfies("1.9.0", "^1.2.3"))
        self.assertFalse(satisfies("1.2.2", "^1.2.3"))
        self.assertFalse(satisfies("2.0.0", "^1.2.3"))

    def test_prerelease_of_the_next_major(self):
        self.assertFalse(satisfies("2.0.0-rc.1", "^1.2.3"))

    def test_zero_accepts_patches(self):
        self.assertTrue(satisfies("0.2.9", "^0.2.3"))
        self.assertFalse(satisfies("0.2.2", "^0.2.3"))

    def test_zero_refuses_the_next_minor(self):
        self.assertFalse(satisfies("0.3.0", "^0.2.3"))
        self.assertFalse(satisfies("0.9.1", "^0.2.0"))

    def test_zero_zero_is_exact(self):
        self.assertTrue(satisfies("0.0.3", "^0.0.3"))
        self.assertFalse(satisfies("0.0.4", "^0.0.3"))
