"""
=======================================
Codes of images, and images from codes
=======================================

An autoencoder compresses each image to a code of a few numbers (its latent vector, or
embedding) and reconstructs it from there. How good the reconstruction is depends on the
size of the code. Codes of two numbers are a map of the data.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# Digits of 8×8 pixels, in [0, 1]
# -------------------------------
#
# Images go in as they are, of shape (n_samples, height, width). The last third is
# kept for testing.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skautoencoder import ConvAutoencoderTransformer
from skautoencoder.displays import CodeSpaceDisplay

digits = load_digits()
images = digits.images / 16
train, test = images[:1200], images[1200:]
labels = digits.target[1200:]

# %%
# Training, watched
# -----------------
#
# With ``early_stopping=True`` a tenth of the images is kept out of training; when
# the loss on them no longer falls, training ends and the best weights come back.

autoencoder = ConvAutoencoderTransformer(
    code_size=8, channels=(16, 32), early_stopping=True, max_epochs=30, random_state=0
)
autoencoder.fit(train)

history = autoencoder.history_
fig, ax = plt.subplots(layout="constrained")
ax.plot(history[:, "epoch"], history[:, "train_loss"], label="training")
ax.plot(history[:, "epoch"], history[:, "valid_loss"], label="validation")
ax.set(yscale="log", xlabel="epoch", ylabel="mean squared error")
ax.legend()
plt.show()

# %%
# How much is reconstructed
# -------------------------
#
# ``score`` is the share of the variance that is explained, as in PCA. On images that
# neither has seen:

code_sizes = [2, 4, 8, 16]
autoencoders = [
    ConvAutoencoderTransformer(
        code_size=code_size, channels=(16, 32), max_epochs=12, random_state=0
    ).fit(train)
    for code_size in code_sizes
]
pcas = [PCA(code_size).fit(train.reshape(-1, 64)) for code_size in code_sizes]


def pca_predict(pca, X):
    rows = X.reshape(len(X), -1)
    return pca.inverse_transform(pca.transform(rows)).reshape(X.shape)


def explained(X, X_predicted):
    return 1 - np.square(X - X_predicted).sum() / np.square(X - X.mean(axis=0)).sum()


fig, ax = plt.subplots(layout="constrained")
ax.plot(code_sizes, [a.score(test) for a in autoencoders], "o-", label="autoencoder")
ax.plot(
    code_sizes, [explained(test, pca_predict(p, test)) for p in pcas], "o-", label="PCA"
)
ax.set(xlabel="numbers in a code", ylabel="fraction of variance explained")
ax.set_xticks(code_sizes)
ax.legend()
plt.show()

# %%
# Digits and their reconstructions from codes of four numbers:

fig, axes = plt.subplots(3, 10, figsize=(10, 3.2), layout="constrained")
rows = {
    "original": test[:10],
    "autoencoder": autoencoders[1].predict(test[:10]),
    "PCA": pca_predict(pcas[1], test[:10]),
}
for row_axes, (title, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row_axes, row, strict=True):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(title)
plt.show()

# %%
# A map of the codes
# ------------------
#
# Each point is the code of an image. The colours are the digits, which neither method
# was told.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
pictures = {
    "autoencoder": autoencoders[0].transform(test),
    "PCA": pcas[0].transform(test.reshape(-1, 64)),
}
for ax, (title, codes) in zip(axes, pictures.items(), strict=True):
    CodeSpaceDisplay.from_predictions(codes, labels, y_name="digit", ax=ax, s=14)
    ax.set(title=title)
axes[0].get_legend().remove()
plt.show()

# %%
# Codes can be decoded to images: here those on a straight line between two digits.

walk = autoencoders[3].interpolate(test[0], test[7], n_steps=10)

fig, axes = plt.subplots(1, 10, figsize=(10, 1.2), layout="constrained")
for ax, image in zip(axes, walk, strict=True):
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
plt.show()
