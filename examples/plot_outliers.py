"""
======================================
Outlier detection, with explanations
======================================

A detector that only says "outlier" leaves its user to find out why. Here each score
comes with the contribution of every feature. First a pump with nine sensors, one of
which fails at a time; then images, where the contributions make a map.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# A pump with nine sensors
# ------------------------
#
# Speed, valve and water temperature are set by an operator; all other readings follow
# from these three, in ways that are not linear: power grows with the cube of the
# speed, for example. The data are simulated, so that it is known which sensor fails.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderOutlierDetector
from skautoencoder.architectures import Dense
from skautoencoder.displays import OutlierScoresDisplay


def readings(n_moments, rng):
    speed = rng.uniform(0.3, 1.0, n_moments)
    valve = rng.uniform(0.2, 1.0, n_moments)
    water = rng.uniform(5, 30, n_moments)
    flow = 40 * speed * valve / (0.4 + valve)
    power = 0.5 + 6 * speed**3 * (0.5 + valve / (0.4 + valve))
    table = pd.DataFrame(
        {
            "speed": 1450 * speed,
            "valve": 100 * valve,
            "water": water,
            "flow": flow,
            "head": 30 * speed**2 - 0.008 * flow**2,
            "power": power,
            "motor": water + 4 + 7 * power,
            "current": np.hypot(3, 1.9 * power),
            "vibration": 0.6 + 15 * (speed - 0.62) ** 2,
        }
    )
    return table + 0.02 * rng.normal(size=table.shape) * table.std().to_numpy()


rng = np.random.default_rng(0)
train, test = readings(2000, rng), readings(500, rng)

# %%
# A sensor that fails shows what it has shown at another moment. So each value is an
# ordinary one; only it does not fit the others.

failing = rng.integers(train.shape[1], size=len(test))
values = test.to_numpy(copy=True)
moments = np.arange(len(test))
values[moments, failing] = test.to_numpy()[rng.permutation(len(test)), failing]
faulty = pd.DataFrame(values, columns=test.columns)

# %%
# What is found
# -------------
#
# All methods learn from the same 2000 faultless moments (``novelty=True``). A twentieth
# of new moments may be false alarms: a fifth of the rows is kept out of training to set
# that threshold.

detector = AutoencoderOutlierDetector(
    code_size=3,
    architecture=Dense((64, 32)),
    novelty=True,
    calibration_fraction=0.2,
    false_alarm_rate=0.05,
    max_epochs=100,
    random_state=0,
).fit(train)
print(f"faultless moments flagged: {np.mean(detector.predict(test) == -1):.0%}")
print(f"faulty moments flagged:    {np.mean(detector.predict(faulty) == -1):.0%}")

# %%
# Beside it four methods without a network. The residuals of principal components are
# divided by their standard deviations, and five components are the best choice.

scaler = StandardScaler().fit(train)
standard = scaler.transform(train)
nearest = NearestNeighbors(n_neighbors=1).fit(standard)
local = LocalOutlierFactor(novelty=True).fit(standard)
forest = IsolationForest(random_state=0).fit(train)
pca = PCA(5).fit(standard)


def residuals(rows):
    rows = scaler.transform(rows)
    return rows - pca.inverse_transform(pca.transform(rows))


usual = residuals(train).std(axis=0)
abnormality = {
    "isolation forest": lambda rows: -forest.score_samples(rows),
    "local outlier factor": lambda rows: -local.score_samples(scaler.transform(rows)),
    "nearest row": lambda rows: nearest.kneighbors(scaler.transform(rows))[0][:, 0],
    "PCA, residuals": lambda rows: np.square(residuals(rows) / usual).sum(axis=1),
    "autoencoder": lambda rows: -detector.score_samples(rows),
}
is_faulty = np.repeat([0, 1], len(test))
areas = {
    name: roc_auc_score(is_faulty, np.r_[score(test), score(faulty)])
    for name, score in abnormality.items()
}

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bars = ax.barh(list(areas), list(areas.values()), color=["tab:gray"] * 4 + ["tab:blue"])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0.5, 1.05), xlabel="area under the ROC curve (0.5: a guess)")
plt.show()

# %%
# The forest cuts one feature at a time, and each value for itself is ordinary.
# Distances and linear residuals see more. The autoencoder has learned how the readings
# depend on each other.
#
# Which sensor?
# -------------
#
# ``explain`` returns the contribution of each feature to the score, as a frame. The
# contributions of a row add up to its score. The sensor that has really failed is red.

contributions = detector.explain(faulty)
found = np.flatnonzero(detector.predict(faulty) == -1)[:6]

fig, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained", sharey=True)
for ax, row in zip(axes.flat, found, strict=True):
    parts = -contributions.iloc[row]
    colors = ["tab:red" if i == failing[row] else "tab:gray" for i in range(len(parts))]
    ax.barh(parts.index, parts, color=colors)
    ax.set_title(f"score {-parts.sum():.1f}")
axes[0, 0].invert_yaxis()
fig.supxlabel("contribution to the distance")
plt.show()

# %%
# Where one reading can be told from a single other one, as the temperature of the water
# from that of the motor, the blame may fall on the other.
#
# How often the right sensor contributes most, and how often it is the one that differs
# most from the nearest row, or has the largest residual of the PCA:

rows = scaler.transform(faulty)
differences = rows - standard[nearest.kneighbors(rows)[1][:, 0]]
named = {
    "autoencoder": contributions.to_numpy().argmin(axis=1),
    "nearest row": np.abs(differences).argmax(axis=1),
    "PCA, residuals": np.abs(residuals(faulty) / usual).argmax(axis=1),
}
{name: round(float(np.mean(sensor == failing)), 2) for name, sensor in named.items()}

# %%
# Images: one kind of digit, and all others
# -----------------------------------------
#
# Trained on zeros, the detector is asked about digits of every kind. Images are given
# a convolutional network. The threshold lets a tenth of zeros like those of training
# lie below it. The new ones are the last of the file, written by other people, and more
# of them do: draw training rows at random where they shall stand for all.

digits = load_digits()
images = digits.images / 16
zeros, others = images[digits.target == 0], images[digits.target != 0]
detector = AutoencoderOutlierDetector(novelty=True, max_epochs=100, random_state=0)
detector.fit(zeros[:120])

asked = np.concatenate([zeros[120:], others])
kinds = np.repeat(["new zeros", "other digits"], [len(zeros) - 120, len(others)])
OutlierScoresDisplay.from_estimator(detector, asked, kinds)
plt.show()

# %%
# The map shows where an image is not a zero: the darker a pixel, the more it
# contributes. A zero with a damaged corner is found by that corner.

damaged = zeros[121].copy()
damaged[:2, :2] = 1.0
shown = [zeros[120], damaged, *(images[digits.target == k][0] for k in (1, 4, 6))]
maps = detector.explain(np.array(shown))

fig, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for top, bottom, image, part in zip(*axes, shown, maps, strict=True):
    top.imshow(image, cmap="gray_r")
    top.set_title(f"score {part.sum():.1f}")
    bottom.imshow(-part, cmap="Reds", vmin=0, vmax=-maps.min())
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("image")
axes[1, 0].set_ylabel("contributions")
plt.show()
