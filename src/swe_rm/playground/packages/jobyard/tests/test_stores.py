"""Tests of jobyard.stores."""

import unittest

from jobyard.stores import Cache, RateLimit


class TestCache(unittest.TestCase):
    def test_put_and_get(self):
        cache = Cache(2)
        cache.put("a", 1)
        self.assertEqual(cache.get("a"), 1)
        self.assertIsNone(cache.get("b"))
        self.assertEqual(cache.get("b", default=7), 7)

    def test_the_oldest_makes_room(self):
        cache = Cache(2)
        for key in "abc":
            cache.put(key, key)
        self.assertEqual([key in cache for key in "abc"], [False, True, True])

    def test_what_was_used_stays(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        self.assertEqual([key in cache for key in "abc"], [True, False, True])

    def test_putting_again_makes_no_room(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.put("a", 3)
        self.assertEqual((len(cache), cache.get("b"), cache.get("a")), (2, 2, 3))

    def test_too_old(self):
        cache = Cache(2, lasts=10)
        cache.put("a", 1, now=5)
        self.assertEqual(cache.get("a", now=14.9), 1)
        self.assertIsNone(cache.get("a", now=15))
        self.assertNotIn("a", cache)

    def test_computed_once(self):
        cache, calls = Cache(2), []
        for _ in range(3):
            self.assertEqual(cache.computed("a", lambda: calls.append(1) or 5), 5)
        self.assertEqual(len(calls), 1)

    def test_nothing_is_a_value_too(self):
        cache, calls = Cache(2), []
        cache.computed("a", lambda: calls.append(1))
        cache.computed("a", lambda: calls.append(1))
        self.assertEqual(len(calls), 1)

    def test_swept(self):
        cache = Cache(3, lasts=10)
        cache.put("a", 1, now=0)
        cache.put("b", 1, now=5)
        self.assertEqual(cache.swept(now=10), 1)
        self.assertEqual(["a" in cache, "b" in cache], [False, True])
        self.assertEqual(Cache(1).swept(now=99), 0)

    def test_hit_rate(self):
        cache = Cache(1)
        self.assertEqual(cache.hit_rate, 0.0)
        cache.get("a")
        cache.put("a", 1)
        for _ in range(3):
            cache.get("a")
        self.assertEqual(cache.hit_rate, 0.75)

    def test_no_size(self):
        with self.assertRaises(ValueError):
            Cache(0)


class TestRateLimit(unittest.TestCase):
    def test_a_burst_and_then_no_more(self):
        limit = RateLimit(2, 1)
        self.assertEqual([limit.allow(0) for _ in range(3)], [True, True, False])

    def test_it_fills_up(self):
        limit = RateLimit(2, 0.5)
        limit.allow(0, cost=2)
        self.assertFalse(limit.allow(1))
        self.assertTrue(limit.allow(2))
        self.assertFalse(limit.allow(2))

    def test_never_beyond_the_burst(self):
        limit = RateLimit(2, 10)
        self.assertEqual([limit.allow(100) for _ in range(3)], [True, True, False])

    def test_wait(self):
        limit = RateLimit(4, 2)
        self.assertEqual(limit.wait(0), 0)
        limit.allow(0, cost=4)
        self.assertEqual(limit.wait(0, cost=3), 1.5)
        self.assertEqual(limit.wait(1, cost=3), 0.5)

    def test_what_will_never_be(self):
        with self.assertRaisesRegex(ValueError, "never"):
            RateLimit(1, 1).wait(0, cost=2)
        for burst, rate in ((0, 1), (1, 0)):
            with self.assertRaises(ValueError):
                RateLimit(burst, rate)

    def test_time_goes_on(self):
        limit = RateLimit(1, 1)
        limit.allow(5)
        with self.assertRaisesRegex(ValueError, "go back"):
            limit.allow(4)


if __name__ == "__main__":
    unittest.main()
