"""
==================
Drawing new digits
==================

A variational autoencoder learns how the data are distributed and draws new samples.
Here it draws digits, interpolates between two digits, says which digits are unlikely,
and draws digits of a given class and in a given handwriting.
"""

# sphinx_gallery_thumbnail_number = 5

# %%
# New digits
# ----------
#
# Pixels lie between 0 and 1, so they are taken for probabilities of ink
# (``likelihood="bernoulli"``), and drawn images have grey values, too. For images as
# small as these a dense network is quick and good. The default for images is
# convolutional.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity

from skautoencoder import VAESampler
from skautoencoder.displays import OutlierScoresDisplay

digits = load_digits()
images, test_images, classes, test_classes = train_test_split(
    digits.images / 16, digits.target, test_size=0.2, random_state=0
)
sampler = VAESampler(code_size=8, architecture="dense", max_epochs=50, random_state=0)
sampler.fit(images)
drawn = sampler.sample(20, random_state=0)

# %%
# A :class:`~sklearn.neighbors.KernelDensity` draws images too: those that it was
# fitted to, with noise on them. The sampler draws others. Below each of its images is
# the one among the training images that is most like it. Some are no digit at all:
# their codes lie between those of two digits.

rows = images.reshape(-1, 64)
kernels = KernelDensity(bandwidth=0.1).fit(rows)
from_kernels = np.clip(kernels.sample(20, random_state=0), 0, 1).reshape(-1, 8, 8)


def nearest(image):
    return images[np.square(images - image).sum(axis=(1, 2)).argmin()]


def show(pictures, n_columns):
    """Draw rows of images, each with a title at its left."""
    _, axes = plt.subplots(
        len(pictures),
        n_columns,
        figsize=(0.75 * n_columns + 1, 0.8 * len(pictures)),
        layout="constrained",
        squeeze=False,
    )
    for row_axes, (title, row) in zip(axes, pictures.items(), strict=True):
        for ax, image in zip(row_axes, row, strict=False):
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center")
    plt.show()


show(
    {
        "written": images,
        "kernel density": from_kernels,
        "drawn": drawn,
        "nearest written": map(nearest, drawn),
    },
    12,
)

# %%
# From one digit to another
# -------------------------
#
# Codes on a straight line between those of two digits are decoded to digits. A straight
# line between the images themselves only fades one out and the other in.

six = test_images[test_classes == 6][1]
zero = test_images[test_classes == 0][1]
share = np.linspace(0, 1, 10)[:, np.newaxis, np.newaxis]
show(
    {
        "through codes": sampler.interpolate(six, zero, 10),
        "through pixels": (1 - share) * six + share * zero,
    },
    10,
)

# %%
# How likely is a digit?
# ----------------------
#
# ``score_samples`` estimates log-likelihoods. Among digits that were not there in the
# fit, the least likely ones are those that are hard to read, and digits turned by a
# quarter are less likely than most.

scores = sampler.score_samples(test_images)
turned = np.rot90(test_images, axes=(1, 2))
order = scores.argsort()
show({"most likely": test_images[order[::-1]], "least likely": test_images[order]}, 12)

OutlierScoresDisplay.from_predictions(
    np.concatenate([scores, sampler.score_samples(turned)]),
    np.repeat(["new digits", "the same, turned"], len(scores)),
    score_label="log-likelihood, in nats",
)
plt.show()

# %%
# Digits of a class
# -----------------
#
# With ``conditional=True`` the decoder is told the class, and the code only describes
# the rest.

conditional = VAESampler(
    code_size=8,
    architecture="dense",
    conditional=True,
    max_epochs=50,
    random_state=0,
).fit(images, classes)
wanted = np.tile(np.arange(10), 4)
grid = conditional.sample(40, random_state=0, y=wanted).reshape(4, 10, 8, 8)
show(dict(zip(["drawn", "", " ", "  "], grid, strict=True)), 10)

# %%
# The rest is the handwriting: slope, width, weight. So the code of one digit, decoded
# with the other classes, gives the other digits in the same handwriting. The first
# column has the digits whose codes were taken: the extreme ones in the two directions
# in which codes vary most.

codes = conditional.transform(test_images)
along = PCA(2).fit_transform(codes)
pictures = {}
for direction in (0, 1):
    ends = {"low": along[:, direction].argmin(), "high": along[:, direction].argmax()}
    for end, place in ends.items():
        hand = np.tile(codes[place], (10, 1))
        others = conditional.inverse_transform(hand, y=np.arange(10))
        pictures[f"direction {direction + 1}, {end}"] = [test_images[place], *others]
show(pictures, 11)
