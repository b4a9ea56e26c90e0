"""Ordinary histories of a feed, drawn afresh: volumes and profiles of deliveries that vary as feeds do, and nothing is wrong with any of them.

Made without the detector's own ideas of what is usual: levels, spreads, memory, growth, outliers, weekends, festivals, shares of empty cells and
their unrest, categories, lengths are all drawn for each history.
"""

from __future__ import annotations

import datetime as dt
import math

import chinese_calendar
import numpy as np

from spark_jobs.profiles import Profile, Taken

STEP = {"每日": 1, "每周": 7, "每月": 30}
FIRST = dt.date(2019, 1, 6)


def taken(feed, number, day, records, **more):
    """A delivery of a feed that came the day after the one that it describes."""
    about = {
        "business_date": day,
        "revision": 0,
        "arrived_on": day + dt.timedelta(days=1),
        "department": feed.department,
        "file_name": f"{number}.csv",
    }
    return Taken(delivery_id=f"D{number:016}", feed=feed.name, records=records, **(about | {"simulated": False, "reading": 1, "held": False} | more))


def volumes(g, feed, number):
    """So many days and counts: a level with growth, memory, spread, now and then an outlier; less on weekends and around holidays."""
    level, sigma = math.exp(g.uniform(math.log(30), math.log(5000))), g.choice([0.05, 0.1, 0.2, 0.3, 0.4])
    growth, memory, weekend = g.uniform(-0.4, 0.6) / 365, g.choice([0, 0.3, 0.6]), g.choice([0.05, 0.3, 1.0])
    step, e, told = STEP[feed.update_cycle], 0.0, []
    for n in range(number):
        day = FIRST + dt.timedelta(days=n * step)
        e = memory * e + math.sqrt(1 - memory**2) * g.normal()
        odd = g.standard_t(4) if g.uniform() < 0.02 else 0
        days = [day - dt.timedelta(days=k) for k in range(step)]
        work = np.mean([1.0 if chinese_calendar.is_workday(d) else weekend for d in days])
        told.append((day, int(g.poisson(level * work * math.exp(growth * n * step + sigma * (e + odd))))))
    return told


def columns(g, feed):
    """Of each delivered column how it varies: share of empty cells and its unrest, weights of its categories (None: nearly all differ), length."""
    told = {}
    for c in (c for c in feed.columns if not c.reserved):
        share = g.choice([0.0, g.uniform(0, 0.02), g.uniform(0.02, 0.7)])
        kinds = None if g.uniform() < 0.4 else g.dirichlet(np.full(int(g.integers(2, 30)), g.choice([0.3, 1.0, 5.0])))
        told[c.name] = (share, g.choice([20.0, 100.0, 1000.0]), kinds, g.uniform(2, 30), g.choice([0.005, 0.02, 0.05]))
    return told


def profiles(g, drawn, records):
    """The profiles of an ordinary delivery of so many records."""
    told = {}
    for name, (share, unrest, kinds, length, wobble) in drawn.items():
        empty = int(g.binomial(records, g.beta(share * unrest, (1 - share) * unrest) if share else 0))
        filled = records - empty
        if not filled:
            told[name] = Profile(records, empty, 0)
            continue
        counts = np.array([1]) if kinds is None else g.multinomial(filled, g.dirichlet(kinds * 200 + 1e-6))
        distinct = int(filled * g.uniform(0.93, 1)) if kinds is None else int((counts > 0).sum())
        size = length * math.exp(g.normal(0, wobble)) * (1 + g.normal(0, 0.3) / math.sqrt(filled))
        told[name] = Profile(records, empty, max(1, distinct), mean_length=max(1.0, size), sampled=filled, most_frequent=int(counts.max()))
    return told


def history(g, feed, number):
    """(deliveries, their profiles, how its columns vary)."""
    drawn = columns(g, feed)
    deliveries = [taken(feed, n, day, records) for n, (day, records) in enumerate(volumes(g, feed, number)) if records]
    return deliveries, {d.delivery_id: profiles(g, drawn, d.records) for d in deliveries}, drawn
