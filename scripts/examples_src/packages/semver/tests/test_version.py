import unittest

from semver import Version, VersionError


def ordered(*texts):
    versions = [Version.parse(text) for text in texts]
    return sorted(versions) == versions


class ParseTest(unittest.TestCase):
    def test_parts(self):
        version = Version.parse("1.2.3-rc.1+build.5")
        self.assertEqual(version.core, (1, 2, 3))
        self.assertEqual(version.prerelease, ("rc", "1"))
        self.assertEqual(version.build, "build.5")

    def test_round_trip(self):
        for text in ("0.0.0", "1.2.3", "1.2.3-rc.1", "1.2.3+b1", "1.2.3-a.b+c.d"):
            self.assertEqual(str(Version.parse(text)), text)

    def test_not_versions(self):
        for text in ("", "1", "1.2", "01.2.3", "1.2.3.4", "v1.2.3", "1.2.3-"):
            with self.assertRaises(VersionError):
                Version.parse(text)


class OrderTest(unittest.TestCase):
    def test_numbers(self):
        self.assertTrue(ordered("0.9.9", "1.0.0", "1.2.0", "1.10.0", "2.0.0"))

    def test_prerelease_comes_first(self):
        self.assertTrue(ordered("1.0.0-rc.1", "1.0.0"))

    def test_words_by_letter(self):
        self.assertTrue(ordered("1.0.0-alpha", "1.0.0-beta", "1.0.0-rc"))

    def test_more_fields_come_later(self):
        self.assertTrue(ordered("1.0.0-alpha", "1.0.0-alpha.1"))

    def test_numbers_before_words(self):
        self.assertTrue(ordered("1.0.0-alpha.1", "1.0.0-alpha.beta"))

    def test_prerelease_numbers_by_value(self):
        self.assertTrue(ordered("1.0.0-rc.2", "1.0.0-rc.9", "1.0.0-rc.10"))

    def test_bare_number_as_prerelease(self):
        self.assertLess(Version.parse("1.0.0-9"), Version.parse("1.0.0-10"))

    def test_example_of_the_specification(self):
        self.assertTrue(
            ordered(
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
            )
        )

    def test_build_is_ignored(self):
        left, right = Version.parse("1.0.0+a"), Version.parse("1.0.0+b")
        self.assertEqual(left, right)
        self.assertEqual(hash(left), hash(right))


class BumpTest(unittest.TestCase):
    def test_bump(self):
        version = Version.parse("1.2.3-rc.1")
        self.assertEqual(str(version.bump("major")), "2.0.0")
        self.assertEqual(str(version.bump("minor")), "1.3.0")
        self.assertEqual(str(version.bump("patch")), "1.2.3")

    def test_unknown_part(self):
        with self.assertRaises(ValueError):
            Version(1).bump("micro")
