"""A small but real world of bugs: packages of our own, tasks with tests, attempts that are really executed.

Nothing is imported here: the program that watches over attempts (`cell`) must start in milliseconds.
"""
