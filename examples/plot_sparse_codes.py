"""
====================
Codes of a few parts
====================

With ``sparsity="top_k"`` each image is described by a few units of many. The
decoder's weights are then a dictionary of parts, and an image is the sum of those
that its code names.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Ten parts of a hundred
# ----------------------
#
# One layer each way: the decoder adds up one picture for each unit of the code.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense

X = load_digits().data / 16
train, test = X[:1400], X[1400:]

autoencoder = AutoencoderTransformer(
    100,
    architecture=Dense(()),
    sparsity="top_k",
    n_nonzero_coefs=10,
    max_epochs=25,
    random_state=0,
).fit(train)
codes = autoencoder.transform(test)
print("non-zero numbers in each code:", set((codes != 0).sum(axis=1).tolist()))

# %%
# A part is what a unit adds to the picture when it is on. Dark pixels are added, light
# ones taken away:

parts = autoencoder.net_.module_.decoder[0].weight.detach().numpy().T
most_used = np.argsort((codes != 0).mean(axis=0))[::-1][:40]

fig, axes = plt.subplots(4, 10, figsize=(10, 4.1), layout="constrained")
for ax, part in zip(axes.flat, parts[most_used], strict=True):
    largest = np.abs(part).max()
    ax.imshow(part.reshape(8, 8), cmap="gray_r", vmin=-largest, vmax=largest)
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# How many parts it takes
# -----------------------
#
# The more parts are allowed, the better the reconstruction.

ks = [1, 3, 10, 30]
fits = [
    AutoencoderTransformer(
        100,
        architecture=Dense(()),
        sparsity="top_k",
        n_nonzero_coefs=k,
        max_epochs=25,
        random_state=0,
    ).fit(train)
    for k in ks
]

fig, axes = plt.subplots(len(ks) + 1, 10, figsize=(10, 5.3), layout="constrained")
rows = {"original": test[:10]} | {
    f"{k} of 100": fit.predict(test[:10]) for k, fit in zip(ks, fits, strict=True)
}
for row_axes, (title, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row_axes, row, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()

for k, fit in zip(ks, fits, strict=True):
    print(f"{k:2} part(s): {fit.score(test):.3f} of the variance explained")

# %%
# The other penalties
# -------------------
#
# "l1" makes numbers small and, after a relu, more of them zero; "kl" sets how active a
# unit is on average. The histograms are of all numbers in the codes of the test images.

penalised = {
    "none": AutoencoderTransformer(
        64, architecture=Dense((), code_activation="relu"), random_state=0
    ),
    'sparsity="l1"': AutoencoderTransformer(
        64,
        architecture=Dense((), code_activation="relu"),
        sparsity="l1",
        sparsity_weight=1e-3,
        random_state=0,
    ),
    'sparsity="kl"': AutoencoderTransformer(
        64, sparsity="kl", sparsity_target=0.05, random_state=0
    ),
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for ax, (title, model) in zip(axes, penalised.items(), strict=True):
    values = model.set_params(max_epochs=25).fit(train).transform(test)
    ax.hist(values.ravel(), bins=40)
    ax.set(title=f"{title}, score {model.score(test):.2f}", yscale="log")
    ax.set(xlabel="value in the code")
plt.show()
