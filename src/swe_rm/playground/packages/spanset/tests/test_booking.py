"""Tests of spanset.booking."""

import unittest

from spanset.booking import Calendar, clock, minutes


class TestTimes(unittest.TestCase):
    def test_minutes(self):
        self.assertEqual(minutes("09:30"), 570)
        self.assertEqual(minutes("0:05"), 5)
        self.assertEqual(minutes("24:00"), 1440)

    def test_no_times(self):
        for text in ("9", "ab:10", "9:5", "9:60", "24:01"):
            with self.assertRaises(ValueError):
                minutes(text)

    def test_clock(self):
        self.assertEqual(clock(570), "09:30")
        self.assertEqual(clock(0), "00:00")


class TestBook(unittest.TestCase):
    def setUp(self):
        self.room = Calendar(pause=10)
        self.room.book("Ann", "10:00", "11:00")

    def refused(self, why, *booking):
        with self.assertRaisesRegex(ValueError, why):
            self.room.book(*booking)

    def test_closed(self):
        self.refused("closed", "Bob", "07:59", "09:00")
        self.refused("closed", "Bob", "17:00", "18:01")

    def test_the_whole_day_is_open(self):
        room = Calendar()
        room.book("Ann", "08:00", "18:00")
        self.assertEqual(room.busy(), 1.0)

    def test_ends_after_it_starts(self):
        self.refused("ends after", "Bob", "09:00", "09:00")

    def test_taken(self):
        self.refused("too close to Ann", "Bob", "10:30", "10:45")
        self.refused("too close to Ann", "Bob", "09:00", "12:00")

    def test_the_pause_counts_on_both_sides(self):
        self.refused("too close", "Bob", "11:09", "12:00")
        self.refused("too close", "Bob", "09:00", "09:51")
        self.room.book("Bob", "11:10", "12:00")
        self.room.book("Eve", "09:00", "09:50")

    def test_one_booking_each(self):
        self.refused("Ann has a booking", "Ann", "15:00", "16:00")

    def test_cancel(self):
        self.assertTrue(self.room.cancel("Ann"))
        self.assertFalse(self.room.cancel("Ann"))
        self.room.book("Bob", "10:00", "11:00")


class TestDay(unittest.TestCase):
    def setUp(self):
        self.room = Calendar("08:00", "12:00", pause=15)
        self.room.book("Bob", "10:00", "11:00")
        self.room.book("Ann", "08:30", "09:00")

    def test_free(self):
        self.assertEqual(self.room.free(30), ["09:15", "11:15"])
        self.assertEqual(self.room.free(10), ["08:00", "09:15", "11:15"])
        self.assertEqual(self.room.free(45), ["11:15"])
        self.assertEqual(self.room.free(46), [])

    def test_busy(self):
        self.assertEqual(self.room.busy(), 90 / 240)

    def test_plan(self):
        self.assertEqual(self.room.plan(), ["08:30-09:00 Ann", "10:00-11:00 Bob"])

    def test_next_after(self):
        self.assertEqual(self.room.next_after("08:30"), "Ann")
        self.assertEqual(self.room.next_after("08:31"), "Bob")
        self.assertIsNone(self.room.next_after("10:01"))


if __name__ == "__main__":
    unittest.main()
