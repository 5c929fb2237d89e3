"""
==================================
Codes with a normal distribution
==================================

The codes of an autoencoder have no particular distribution. With ``penalty="mmd"`` it
is a Wasserstein autoencoder: the codes of each batch are compared with draws of a
standard normal distribution, and trained to be distributed like them. Then such a draw
can be decoded to a new image.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Where codes lie
# ---------------
#
# Two numbers for each digit, so that they can be seen.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skautoencoder import MMD, AutoencoderTransformer

digits = load_digits()
train, test, _, classes = train_test_split(
    digits.data / 16, digits.target, test_size=0.3, random_state=0
)


def fit(code_size, penalty):
    return AutoencoderTransformer(
        code_size,
        architecture="dense",
        penalty=penalty,
        max_epochs=15,
        random_state=0,
    ).fit(train)


titles = {"no penalty": None, 'penalty="mmd"': "mmd"}
fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, (title, penalty) in zip(axes, titles.items(), strict=True):
    codes = fit(2, penalty).transform(test)
    points = ax.scatter(*codes.T, c=classes, cmap="tab10", s=8)
    for radius in (1, 2, 3):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle="--"))
    ax.set(title=title, aspect="equal")
fig.colorbar(points, ax=axes, label="digit")
plt.show()

# %%
# The circles are one, two and three standard deviations of the normal distribution.
# Without the penalty codes lie far outside of them; with it they fill them, and most
# digits still form a cluster.
#
# New digits
# ----------
#
# Eight numbers say more. Draws are decoded by ``inverse_transform``.

plain, penalised = (fit(8, penalty) for penalty in titles.values())
draws = np.random.default_rng(0).normal(size=(300, 8))

fig, axes = plt.subplots(3, 12, figsize=(10, 2.9), layout="constrained")
rows = {
    "written": test,
    "no penalty": plain.inverse_transform(draws),
    'penalty="mmd"': penalised.inverse_transform(draws),
}
for row_axes, (title, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row_axes, row, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()

# %%
# The codes of the first autoencoder are so far apart that, compared with them, all
# draws are nearly the same: the images look much alike. Those of the second autoencoder
# differ as digits do.
#
# What it costs
# -------------
#
# The more weight the penalty has, the nearer the codes' covariance is to the identity,
# and the less of the images is left to reconstruct them from.

fits = {0: plain, 0.003: fit(8, MMD(0.003)), 0.03: penalised, 0.3: fit(8, MMD(0.3))}
print("weight  score  variance of the codes along the axes of their ellipsoid")
for weight, autoencoder in fits.items():
    variances = np.linalg.eigvalsh(np.cov(autoencoder.transform(test).T))
    print(
        f"{weight:6}  {autoencoder.score(test):.3f}  "
        f"{variances.min():.2f} to {variances.max():.2f}"
    )

# %%
# :class:`~skautoencoder.VAESampler` is made for drawing: it estimates how likely a
# sample is, and takes tables with categories. An autoencoder with this penalty is a
# transformer first, with codes that are not random and have a common scale.
