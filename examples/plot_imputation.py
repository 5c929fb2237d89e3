"""
=============================
Holes in images and in tables
=============================

Where values are missing, an imputer says what to expect there, given the others.
First holes in pictures, where one can see how well this goes; then a table with
missing values, in a Pipeline before a classifier.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Digits with holes
# -----------------
#
# A square of 4×4 pixels is missing at a random place of each image, in the images
# to learn from too. Skip connections let the network see what is right beside a
# hole, and the smaller maps between them what digit it is.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderImputer
from skautoencoder.architectures import Conv

images = load_digits().images / 16
random = np.random.RandomState(0)
holes = images.copy()
for image in holes:
    row, column = random.randint(0, 5, size=2)
    image[row : row + 4, column : column + 4] = np.nan

train, test = slice(0, 1200), slice(1200, None)
imputer = AutoencoderImputer(
    architecture=Conv(channels=(32, 64), residual=True, skip_connections=True),
    max_epochs=20,
    random_state=0,
)
filled = {"autoencoder": imputer.fit(holes[train]).transform(holes[test])}

# %%
# Imputers of scikit-learn take rows, and fill one pixel at a time.

rows = holes.reshape(-1, 64)
for name, peer in {
    "nearest images": KNNImputer(keep_empty_features=True),
    "mean image": SimpleImputer(keep_empty_features=True),
}.items():
    answer = peer.fit(rows[train]).transform(rows[test])
    filled[name] = answer.reshape(-1, 8, 8)

pictures = {"with a hole": holes[test], **filled, "original": images[test]}
fig, axes = plt.subplots(5, 10, figsize=(10, 5.2), layout="constrained")
background = plt.get_cmap("gray_r").with_extremes(bad="tab:orange")
for row_axes, (title, row) in zip(axes, pictures.items(), strict=True):
    for ax, image in zip(row_axes, row, strict=False):
        ax.imshow(image, cmap=background, vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()

# %%
# The root mean squared error inside the holes, of images in [0, 1]:

missing = np.isnan(holes[test])
errors = {
    name: float(np.sqrt(np.mean(np.square(answer - images[test])[missing])))
    for name, answer in filled.items()
}
{name: round(error, 3) for name, error in errors.items()}

# %%
# A table with missing values, before a classifier
# ------------------------------------------------
#
# A part of the measurements is taken away at random, more and more of it. The
# imputer is a step of the Pipeline, so that it is fitted to the training part of
# each fold only. The nearest rows need features of one scale, so the table is
# standardised first.

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)


def take_away(X, share):
    holes = X.copy()
    holes[np.random.RandomState(0).rand(*X.shape) < share] = np.nan
    return holes


imputers = {
    "autoencoder": AutoencoderImputer(random_state=0),
    "nearest rows": KNNImputer(),
    "mean": SimpleImputer(),
}
shares = [0.2, 0.5, 0.8]
accuracy = {name: [] for name in imputers}
error = {name: [] for name in imputers}
for share in shares:
    X_holes = take_away(X, share)
    for name, step in imputers.items():
        pipeline = make_pipeline(step, LogisticRegression(max_iter=1000))
        accuracy[name].append(cross_val_score(pipeline, X_holes, y, cv=2).mean())
        difference = step.fit_transform(X_holes) - X
        error[name].append(np.sqrt(np.mean(difference[np.isnan(X_holes)] ** 2)))

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name in imputers:
    axes[0].plot(shares, error[name], "o-", label=name)
    axes[1].plot(shares, accuracy[name], "o-", label=name)
axes[0].set(ylabel="error of filled values, in standard deviations")
axes[1].set(ylabel="accuracy of the classifier")
for ax in axes:
    ax.set(xlabel="share of values missing", xticks=shares)
axes[0].legend()
plt.show()

# %%
# One feature against another, with every second value of one of them missing. The
# mean makes a line of them; the autoencoder puts them where the others lie.

names = load_breast_cancer().feature_names
first, second = 0, 6
X_holes = take_away(X, 0.2)
lost = np.random.RandomState(1).rand(len(X)) < 0.5
X_holes[lost, second] = np.nan
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, name in zip(axes, ["autoencoder", "mean"], strict=True):
    answer = imputers[name].fit_transform(X_holes)
    for part, label in ((~lost, "observed"), (lost, "filled")):
        ax.scatter(X[part, first], answer[part, second], s=8, label=label)
    ax.set(title=name, xlabel=f"{names[first]}, standardised")
axes[0].set_ylabel(f"{names[second]}, standardised")
axes[0].legend()
plt.show()
