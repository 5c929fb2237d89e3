"""
==================================
How many numbers a code needs
==================================

The size of a code is the first thing to choose. With ``ordered=True`` one fit answers
for every size: the numbers of a code are ordered by importance, as the components of
PCA are, and the first `k` of them are a code of `k` numbers.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# One fit, every size
# -------------------
#
# The error on new digits by the size of the code, beside PCA's.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skautoencoder import AutoencoderTransformer
from skautoencoder.displays import CodeSizeDisplay

train, test = train_test_split(load_digits().data / 16, random_state=0)
autoencoder = AutoencoderTransformer(
    32, ordered=True, architecture="dense", max_epochs=40, random_state=0
).fit(train)
pca = PCA(32).fit(train)

codes, projections = autoencoder.transform(test), pca.transform(test)
sizes = np.arange(1, 33)
of_codes, of_pca = [], []
for size in sizes:
    decoded = autoencoder.inverse_transform(codes[:, :size])
    projected = projections[:, :size] @ pca.components_[:size] + pca.mean_
    of_codes.append(np.square(decoded - test).mean())
    of_pca.append(np.square(projected - test).mean())

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.plot(sizes, of_pca, "o--", color="C7", markersize=4, label="PCA")
ax.plot(sizes, of_codes, "o-", color="C0", markersize=4, label="ordered codes, one fit")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="numbers in the code",
    ylabel="squared error per pixel of new digits",
)
ax.set_xticks([1, 2, 4, 8, 16, 32], labels=["1", "2", "4", "8", "16", "32"])
ax.legend()
plt.show()

# %%
# What each number adds
# ---------------------
#
# The same codes, of which ``inverse_transform`` is given the first numbers alone.

shown = [1, 2, 4, 8, 16, 32]
fig, axes = plt.subplots(len(shown) + 1, 10, figsize=(7, 5), layout="constrained")
rows = {
    f"first {size}": autoencoder.inverse_transform(codes[:10, :size]) for size in shown
}
for row_axes, (title, row) in zip(
    axes, {**rows, "digits": test[:10]}.items(), strict=True
):
    for ax, image in zip(row_axes, row, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()

# %%
# An answer
# ---------
#
# ``code_size="auto"`` takes the smallest size whose error, on a tenth of the samples
# that was not trained on, is within one standard error of the best.

chosen = AutoencoderTransformer(
    "auto", architecture="dense", max_epochs=40, random_state=0
).fit(train)
display = CodeSizeDisplay.from_estimator(chosen)
plt.show()

# %%
# Of digits a longer code is nearly always better, as it can copy what is noise. If
# codes are to be short, the error that you can bear says how many numbers: cut the
# codes of the same fit, ``codes[:, :8]``. There are decoders for 2, 4, 8, ... numbers;
# between two of them a number may add nothing. Where the two curves of the first
# picture are close, PCA is enough. See :ref:`ordered_codes`.
