"""
==========================
Taking noise out of images
==========================

A denoising autoencoder is shown noisy images and compared with the clean ones. What
it learns depends on the noise; here are three kinds. The same digits go through the
two methods of scikit-learn's example on image denoising, PCA and kernel PCA.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Three kinds of noise
# --------------------
#
# Digits of 8×8 pixels in [0, 1]; the last ones are kept for testing. Noise of a fixed
# seed stands for that of a sensor.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA

from skautoencoder import DenoisingAutoencoder

images = load_digits().images / 16
train, test = images[:1400], images[1400:]


def gaussian(X, rng):
    return np.clip(X + rng.normal(scale=0.3, size=X.shape), 0, 1)


def masking(X, rng):
    return np.where(rng.uniform(size=X.shape) < 0.3, 0.0, X)


def salt_and_pepper(X, rng):
    grains = rng.randint(0, 2, X.shape)
    return np.where(rng.uniform(size=X.shape) < 0.2, grains, X)


noises = {
    "gaussian": (gaussian, 0.3),
    "masking": (masking, 0.3),
    "salt_and_pepper": (salt_and_pepper, 0.2),
}
noisy = {
    name: make(test, np.random.RandomState(0)) for name, (make, _) in noises.items()
}

# %%
# Learning to undo it
# -------------------
#
# One denoiser for each noise. ``fit`` gets the clean images and makes the noise
# itself, anew for every batch; images get a convolutional network.

denoisers = {
    name: DenoisingAutoencoder(
        name, noise_level=level, max_epochs=12, random_state=0
    ).fit(train)
    for name, (_, level) in noises.items()
}
denoised = {name: denoisers[name].predict(noisy[name]) for name in noises}

fig, axes = plt.subplots(7, 10, figsize=(10, 7.4), layout="constrained")
rows = {"clean": test}
for name in noises:
    rows |= {name.replace("_", " "): noisy[name], f"{name}, denoised": denoised[name]}
for row_axes, (title, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row_axes, row[:10], strict=True):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    label = title.split(",")[-1].strip()
    row_axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
plt.show()

# %%
# Against projections
# -------------------
#
# PCA and kernel PCA take noise away by projecting on what the noisy training images
# have in common. They learn from noisy images only; the denoiser knows the clean
# ones, and what the noise does to them.

errors = {"noisy": [], "PCA": [], "kernel PCA": [], "denoising autoencoder": []}
for name, (make, _) in noises.items():
    noisy_rows = make(train, np.random.RandomState(1)).reshape(len(train), -1)
    answers = {"noisy": noisy[name], "denoising autoencoder": denoised[name]}
    for title, pca in {
        "PCA": PCA(n_components=32),
        "kernel PCA": KernelPCA(
            n_components=400,
            kernel="rbf",
            gamma=1e-3,
            fit_inverse_transform=True,
            alpha=5e-3,
            random_state=0,
        ),
    }.items():
        codes = pca.fit(noisy_rows).transform(noisy[name].reshape(len(test), -1))
        answers[title] = pca.inverse_transform(codes).reshape(test.shape)
    for title, answer in answers.items():
        errors[title].append(np.square(answer - test).mean())

fig, ax = plt.subplots(layout="constrained")
places = np.arange(len(noises))
for i, (title, values) in enumerate(errors.items()):
    ax.bar(places + 0.2 * (i - 1.5), values, 0.18, label=title)
ax.set_xticks(places, [name.replace("_", " ") for name in noises])
ax.set(ylabel="mean squared error against the clean image")
ax.legend()
plt.show()

# %%
# How much is restored
# --------------------
#
# ``score`` with noisy and clean images is the fraction of the clean images' variance
# that is restored.

for name, denoiser in denoisers.items():
    print(f"{name:16} {denoiser.score(noisy[name], X_clean=test):.3f}")
