"""Data with holes, and imputers that take no time."""

from __future__ import annotations

import numpy as np
from helpers import IMAGES
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderImputer
from skautoencoder.architectures import Conv, Dense

TABLES = {
    load.__name__.removeprefix("load_"): StandardScaler().fit_transform(
        load(return_X_y=True)[0]
    )
    for load in (load_breast_cancer, load_diabetes, load_iris, load_wine)
}


def with_holes(X, seed=0, share=0.2):
    X = np.array(X, dtype=float)
    X[np.random.RandomState(seed).rand(*X.shape) < share] = np.nan
    return X


def with_square_holes(images, seed=0, side=3):
    random = np.random.RandomState(seed)
    images = images.copy()
    for image in images:
        i, j = random.randint(0, image.shape[-1] - side + 1, size=2)
        image[..., i : i + side, j : j + side] = np.nan
    return images


def tiny(**params):
    defaults = {"architecture": Dense((8,)), "code_size": 4, "max_epochs": 2}
    return AutoencoderImputer(**{**defaults, "random_state": 0, **params})


def tiny_conv(**params):
    defaults = {"architecture": Conv((4, 6)), "code_size": 4, "max_epochs": 1}
    return AutoencoderImputer(**{**defaults, "random_state": 0, **params})


WINE = TABLES["wine"][::2]
HOLES = with_holes(WINE)
PICTURES = with_square_holes(IMAGES[:120])


def rmse(X, filled, holes):
    return np.sqrt(np.mean(np.square(filled - X)[np.isnan(holes)]))
