"""
==============================
Strange stretches in a series
==============================

A machine is watched by three sensors, once every ten minutes. Here its six weeks are
scored step by step, the strange stretches are flagged, and the detector is asked which
sensor each of them is due to.
"""

# %%
# Six weeks of a machine
# ----------------------
#
# All three sensors follow the day and the night, with noise of their own. Four things
# happen, and for half a day one sensor is silent. The data are simulated, so that it is
# known what is to be found.

import numpy as np
import pandas as pd

from skautoencoder import SeriesOutlierDetector
from skautoencoder.displays import SeriesScoresDisplay

DAY = 144
rng = np.random.default_rng(0)
index = pd.date_range("2026-01-05", periods=42 * DAY, freq="10min")
angles = 2 * np.pi * np.arange(len(index)) / DAY
machine = pd.DataFrame(
    {
        "load": 50 + 20 * np.sin(angles) + 4 * rng.normal(size=len(index)),
        "temperature": 60 + 8 * np.sin(angles - 0.6) + rng.normal(size=len(index)),
        "vibration": 2 + 0.5 * np.cos(2 * angles) + 0.3 * rng.normal(size=len(index)),
    },
    index=index,
)
EVENTS = {
    "load stands still": ("load", slice(9 * DAY, 10 * DAY)),
    "temperature drifts": ("temperature", slice(17 * DAY, 18 * DAY)),
    "vibration is noisy": ("vibration", slice(25 * DAY, 25 * DAY + 60)),
    "load peaks": ("load", slice(34 * DAY, 34 * DAY + 20)),
}
places = {event: machine.columns.get_loc(name) for event, (name, _) in EVENTS.items()}
steps = {event: part for event, (_, part) in EVENTS.items()}
values = machine.to_numpy(copy=True)
values[steps["load stands still"], 0] = 50
values[steps["temperature drifts"], 1] += 10 * np.hanning(DAY)
values[steps["vibration is noisy"], 2] += 0.7 * rng.normal(size=60)
values[steps["load peaks"], 0] += 30
values[29 * DAY : 29 * DAY + 70, 1] = np.nan
machine[:] = values

# %%
# Scores and flags
# ----------------
#
# Nobody has to say which weeks are normal: the detector is fitted to the series with
# its events in it. It finds that a day is the period, and takes windows as long.

detector = SeriesOutlierDetector(contamination=0.08, random_state=0).fit(machine)
is_outlier = detector.predict(machine) == -1
print(f"windows of {detector.window_} steps")
truth = np.zeros(len(machine), dtype=bool)
for part in steps.values():
    truth[part] = True
display = SeriesScoresDisplay.from_estimator(detector, machine, truth, explain=True)

# %%
# Each event is found. The silent sensor is not flagged: a window is judged by what is
# known of it.

for event, part in steps.items():
    print(f"{event:20} {is_outlier[part].mean():5.0%} of its steps flagged")
silent = slice(29 * DAY, 29 * DAY + 70)
print(f"{'temperature silent':20} {is_outlier[silent].mean():5.0%}")

# %%
# Why?
# ----
#
# ``explain`` divides each step's score among the channels, as in the last panel of the
# picture.

reasons = detector.explain(machine)
for event, part in steps.items():
    shares = reasons.iloc[part].sum()
    print(f"{event:20} {(shares / shares.sum()).round(2).to_dict()}")
    assert shares.idxmin() == machine.columns[places[event]]

# %%
# As it is measured
# -----------------
#
# A causal detector scores each step by the window that ends with it, so an alarm does
# not wait for what comes after. New steps come with those before them, and get the
# scores that the whole series would have given them.

causal = SeriesOutlierDetector(causal=True, random_state=0).fit(machine[: 21 * DAY])
stream = machine[21 * DAY :]
so_far, alarms = machine[: 21 * DAY], []
for start in range(0, len(stream), DAY):
    piece = stream[start : start + DAY]
    alarms.append(causal.predict(piece, before=so_far) == -1)
    so_far = pd.concat([so_far, piece])
alarms = pd.concat(alarms)
whole = causal.predict(stream, before=machine[: 21 * DAY]) == -1
print("as the whole:", alarms.equals(whole))
for event in ("vibration is noisy", "load peaks"):
    part = steps[event]
    first = alarms.iloc[part.start - 21 * DAY : part.stop - 21 * DAY].argmax()
    print(f"{event:20} alarm after {10 * (first + 1)} minutes")
