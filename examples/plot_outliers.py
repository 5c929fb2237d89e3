"""
========================================
Outliers, and what makes them outliers
========================================

A detector that only says "outlier" leaves its user to find out why. Here each score
comes with the part that every feature has in it: in a table of tumours, and in
images, where the parts make a map.
"""

# %%
# A table: tumours that are not like the benign ones
# --------------------------------------------------
#
# The detector learns from benign tumours only, so ``novelty=True``. A fifth of them
# is kept out of training; from how these score, the threshold is set so that at most
# 5 % of new benign tumours are taken for outliers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import train_test_split

from skautoencoder import AutoencoderOutlierDetector

cancer = load_breast_cancer(as_frame=True)
benign = cancer.data[cancer.target == 1]
malignant = cancer.data[cancer.target == 0]
train, test = train_test_split(benign, test_size=0.3, random_state=0)

detector = AutoencoderOutlierDetector(
    novelty=True, calibration_fraction=0.2, false_alarm_rate=0.05, random_state=0
).fit(train)

print(f"benign tumours flagged:    {np.mean(detector.predict(test) == -1):.0%}")
print(f"malignant tumours flagged: {np.mean(detector.predict(malignant) == -1):.0%}")

# %%
# Beside :class:`~sklearn.ensemble.IsolationForest`, trained on the same rows:

forest = IsolationForest(random_state=0).fit(train)
is_malignant = np.r_[np.zeros(len(test)), np.ones(len(malignant))]
fig, ax = plt.subplots(layout="constrained")
for name, model in [("autoencoder", detector), ("isolation forest", forest)]:
    scores = np.r_[model.score_samples(test), model.score_samples(malignant)]
    RocCurveDisplay.from_predictions(is_malignant, -scores, name=name, ax=ax)
ax.set(xlabel="benign tumours flagged", ylabel="malignant tumours flagged")
plt.show()

# %%
# Why?
# ----
#
# ``explain`` returns a frame with the features' names. The parts of a row add up to
# its score; the longest bars are what is wrong with it.

contributions = detector.explain(malignant)
lowest = detector.score_samples(malignant).argsort()[:3]

fig, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
for ax, row in zip(axes, lowest, strict=True):
    strongest = contributions.iloc[row].nsmallest(6)[::-1]
    ax.barh(strongest.index, -strongest, color="tab:red")
    ax.set_title(f"score {contributions.iloc[row].sum():.1f}")
fig.supxlabel("part of the distance")
plt.show()

# %%
# Images: one kind of digit, and all others
# -----------------------------------------
#
# Trained on zeros, the detector is asked about digits of every kind. Images are given
# a convolutional network.

digits = load_digits()
images = digits.images / 16
zeros, others = images[digits.target == 0], images[digits.target != 0]
detector = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(zeros[:120])

fig, ax = plt.subplots(layout="constrained")
bins = np.linspace(0, 1.05 * -detector.score_samples(others).min(), 40)
for name, group in [("other digits", others), ("new zeros", zeros[120:])]:
    ax.hist(-detector.score_samples(group), bins, density=True, alpha=0.7, label=name)
ax.axvline(-detector.offset_, color="black", linestyle="--", label="threshold")
ax.set(xlabel="distance from the training images", yticks=[])
ax.legend()
plt.show()

# %%
# The map shows where an image is not a zero: the darker, the more a pixel takes from
# the score. A zero with a spoilt corner is found by that corner.

spoilt = zeros[121].copy()
spoilt[:2, :2] = 1.0
shown = [zeros[120], spoilt, *(images[digits.target == k][0] for k in (1, 4, 6))]
maps = detector.explain(np.array(shown))

fig, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for top, bottom, image, part in zip(*axes, shown, maps, strict=True):
    top.imshow(image, cmap="gray")
    top.set_title(f"score {part.sum():.2f}")
    bottom.imshow(-part, cmap="Reds", vmin=0, vmax=-maps.min())
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
