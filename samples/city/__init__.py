"""A made-up city whose truth is known: its market subjects, what happens to them, and what departments deliver about it.

It shares no code with the pipeline, in either direction (tests/unit/test_city.py), so that what is measured on it is no echo.
"""
