"""Tests of almanack.days."""

import unittest

from almanack.days import Day, days_in, is_leap, nth_weekday


class TestYears(unittest.TestCase):
    def test_leap(self):
        self.assertEqual([year for year in (1900, 2000, 2023, 2024, 2100) if is_leap(year)], [2000, 2024])

    def test_days_in(self):
        self.assertEqual([days_in(2023, month) for month in (1, 2, 4, 12)], [31, 28, 30, 31])
        self.assertEqual(days_in(2024, 2), 29)


class TestMaking(unittest.TestCase):
    def test_no_such_day(self):
        for parts in ((2023, 0, 1), (2023, 13, 1), (2023, 2, 29), (2023, 4, 0), (2023, 4, 31)):
            with self.assertRaises(ValueError):
                Day(*parts)

    def test_the_last_days_are_days(self):
        self.assertEqual(repr(Day(2024, 12, 31)), "2024-12-31")
        self.assertEqual(repr(Day(2024, 2, 29)), "2024-02-29")

    def test_parse(self):
        self.assertEqual(Day.parse("2024-02-29"), Day(2024, 2, 29))
        self.assertEqual(Day.parse("9.3.2024"), Day(2024, 3, 9))


class TestNumbers(unittest.TestCase):
    def test_there_and_back(self):
        for number in (0, 58, 59, 365, 1460, 36523, 36524, 146095, 146096, 146097, 739000):
            self.assertEqual(Day.of_number(number).number, number)

    def test_known_days(self):
        self.assertEqual(Day(2024, 3, 1) - Day(2024, 2, 28), 2)
        self.assertEqual(Day(2023, 3, 1) - Day(2023, 2, 28), 1)
        self.assertEqual(Day(2001, 1, 1) - Day(2000, 1, 1), 366)

    def test_order(self):
        self.assertLess(Day(2023, 12, 31), Day(2024, 1, 1))
        self.assertGreater(Day(2024, 2, 1), Day(2024, 1, 31))
        self.assertEqual(len({Day(2024, 1, 1), Day.parse("2024-01-01")}), 1)


class TestPlus(unittest.TestCase):
    def test_days(self):
        self.assertEqual(repr(Day(2023, 12, 30).plus(days=3)), "2024-01-02")
        self.assertEqual(repr(Day(2024, 3, 1).plus(days=-1)), "2024-02-29")

    def test_months_stay_within_the_month(self):
        self.assertEqual(repr(Day(2024, 1, 31).plus(months=1)), "2024-02-29")
        self.assertEqual(repr(Day(2023, 11, 30).plus(months=3)), "2024-02-29")

    def test_months_over_the_year(self):
        self.assertEqual(repr(Day(2023, 12, 5).plus(months=1)), "2024-01-05")
        self.assertEqual(repr(Day(2024, 1, 5).plus(months=-1)), "2023-12-05")
        self.assertEqual(repr(Day(2024, 1, 5).plus(months=24)), "2026-01-05")

    def test_months_come_first(self):
        self.assertEqual(repr(Day(2024, 1, 31).plus(days=1, months=1)), "2024-03-01")


class TestWeeks(unittest.TestCase):
    def test_weekday(self):
        self.assertEqual(Day(2024, 2, 29).weekday_name, "Thursday")
        self.assertEqual(Day(2000, 1, 1).weekday, 5)
        self.assertEqual(Day(2024, 7, 1).weekday_name, "Monday")

    def test_of_year(self):
        self.assertEqual(Day(2024, 1, 1).of_year, 1)
        self.assertEqual(Day(2024, 12, 31).of_year, 366)

    def test_weeks_at_the_turn_of_the_year(self):
        self.assertEqual(Day(2021, 1, 3).week(), (2020, 53))
        self.assertEqual(Day(2021, 1, 4).week(), (2021, 1))
        self.assertEqual(Day(2024, 12, 30).week(), (2025, 1))
        self.assertEqual(Day(2024, 12, 29).week(), (2024, 52))

    def test_nth_weekday(self):
        self.assertEqual(repr(nth_weekday(2024, 11, 3, 4)), "2024-11-28")
        self.assertEqual(repr(nth_weekday(2024, 7, 0, 1)), "2024-07-01")
        self.assertEqual(repr(nth_weekday(2024, 5, 0, -1)), "2024-05-27")
        self.assertEqual(repr(nth_weekday(2024, 3, 6, -2)), "2024-03-24")
        with self.assertRaises(ValueError):
            nth_weekday(2024, 5, 0, 0)

    def test_no_fifth(self):
        with self.assertRaises(ValueError):
            nth_weekday(2024, 2, 0, 5)


class TestWork(unittest.TestCase):
    def test_until_does_not_include_the_end(self):
        self.assertEqual([day.day for day in Day(2024, 2, 28).until(Day(2024, 3, 2))], [28, 29, 1])

    def test_working_days(self):
        self.assertEqual(Day(2024, 7, 1).working_days(Day(2024, 7, 15)), 10)
        self.assertEqual(Day(2024, 7, 6).working_days(Day(2024, 7, 8)), 0)

    def test_holidays(self):
        self.assertEqual(Day(2024, 7, 1).working_days(Day(2024, 7, 8), [Day(2024, 7, 4), Day(2024, 7, 6)]), 4)

    def test_after_working(self):
        self.assertEqual(Day(2024, 7, 5).after_working(1), Day(2024, 7, 8))
        self.assertEqual(Day(2024, 7, 1).after_working(5, [Day(2024, 7, 4)]), Day(2024, 7, 9))
        self.assertEqual(Day(2024, 7, 6).after_working(0), Day(2024, 7, 6))


class TestAge(unittest.TestCase):
    def test_on_the_birthday(self):
        self.assertEqual(Day(2000, 5, 10).age(Day(2024, 5, 10)), 24)
        self.assertEqual(Day(2000, 5, 10).age(Day(2024, 5, 9)), 23)
        self.assertEqual(Day(2000, 5, 10).age(Day(2024, 6, 1)), 24)
        self.assertEqual(Day(2000, 5, 10).age(Day(2024, 4, 30)), 23)


if __name__ == "__main__":
    unittest.main()
