import unittest

from ttlcache import TTLCache, memoize


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class CacheTest(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.cache = TTLCache(maxsize=2, ttl=10, clock=self.clock)

    def test_get_and_set(self):
        self.cache["a"] = 1
        self.assertEqual(self.cache["a"], 1)
        self.assertEqual(self.cache.get("b", 7), 7)
        with self.assertRaises(KeyError):
            self.cache["b"]

    def test_expiry(self):
        self.cache["a"] = 1
        self.clock.now = 9.9
        self.assertIn("a", self.cache)
        self.clock.now = 10
        self.assertNotIn("a", self.cache)
        self.assertEqual(len(self.cache), 0)

    def test_oldest_leaves_first(self):
        self.cache["a"] = 1
        self.cache["b"] = 2
        self.cache["c"] = 3
        self.assertEqual(list(self.cache), ["b", "c"])

    def test_reading_refreshes(self):
        self.cache["a"] = 1
        self.cache["b"] = 2
        self.cache["a"]
        self.cache["c"] = 3
        self.assertEqual(list(self.cache), ["a", "c"])

    def test_overwriting_refreshes(self):
        self.cache["a"] = 1
        self.cache["b"] = 2
        self.cache["a"] = 3
        self.cache["c"] = 4
        self.assertIn("a", self.cache)
        self.assertEqual(self.cache["a"], 3)

    def test_overwriting_restarts_the_ttl(self):
        self.cache["a"] = 1
        self.clock.now = 8
        self.cache["a"] = 2
        self.clock.now = 15
        self.assertEqual(self.cache.get("a"), 2)

    def test_overwriting_evicts_nothing(self):
        self.cache["a"] = 1
        self.cache["b"] = 2
        self.cache["b"] = 3
        self.assertEqual(list(self.cache), ["a", "b"])

    def test_counter_in_a_full_cache(self):
        self.cache["other"] = "x"
        self.cache["count"] = 0
        for _ in range(5):
            self.cache["count"] = self.cache["count"] + 1
        self.assertEqual(self.cache["count"], 5)
        self.assertEqual(self.cache.get("other"), "x")

    def test_delete(self):
        self.cache["a"] = 1
        del self.cache["a"]
        self.assertNotIn("a", self.cache)

    def test_counts(self):
        self.cache["a"] = 1
        self.cache.get("a")
        self.cache.get("b")
        self.assertEqual((self.cache.hits, self.cache.misses), (1, 1))

    def test_bad_limits(self):
        with self.assertRaises(ValueError):
            TTLCache(maxsize=0, ttl=1)


class GetOrSetTest(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.cache = TTLCache(maxsize=8, ttl=10, clock=self.clock)
        self.calls = 0

    def factory(self, value):
        def call():
            self.calls += 1
            return value

        return call

    def ask_twice(self, value):
        first = self.cache.get_or_set("key", self.factory(value))
        second = self.cache.get_or_set("key", self.factory(value))
        self.assertEqual((first, second), (value, value))
        return self.calls

    def test_computed_once(self):
        self.assertEqual(self.ask_twice("value"), 1)

    def test_computed_again_after_expiry(self):
        self.cache.get_or_set("key", self.factory(5))
        self.clock.now = 11
        self.cache.get_or_set("key", self.factory(5))
        self.assertEqual(self.calls, 2)

    def test_error_is_not_kept(self):
        with self.assertRaises(ZeroDivisionError):
            self.cache.get_or_set("key", lambda: 1 / 0)
        self.assertNotIn("key", self.cache)

    def test_zero_is_kept(self):
        self.assertEqual(self.ask_twice(0), 1)

    def test_empty_list_is_kept(self):
        self.assertEqual(self.ask_twice([]), 1)

    def test_none_is_kept(self):
        self.assertEqual(self.ask_twice(None), 1)

    def test_memoize(self):
        @memoize(self.cache)
        def double(number):
            self.calls += 1
            return 2 * number

        self.assertEqual([double(4), double(4), double(number=4)], [8, 8, 8])
        self.assertEqual(self.calls, 2)

    def test_memoize_a_lookup_that_finds_nothing(self):
        @memoize(self.cache)
        def lookup(name):
            self.calls += 1
            return {"ada": 1}.get(name)

        self.assertEqual([lookup("bob"), lookup("bob")], [None, None])
        self.assertEqual(self.calls, 1)
