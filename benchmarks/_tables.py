"""Tables that samples are to look like, and ways to tell the two apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SKLEARN_TABLES = ("breast_cancer", "wine", "diabetes")
# Of different kinds: mixed, atoms, integers, small, heavy tails.
ADBENCH_TABLES = (
    "6_cardio",
    "28_pendigits",
    "30_satellite",
    "37_Stamps",
    "22_magic.gamma",
)
MOST_ROWS = 3000

Table = NDArray[np.float64]


def load_sampling_tables(cache_dir: str | Path, most_rows: int) -> dict[str, Table]:
    """Tables by name, in their own units; of ADBench's the normal rows."""
    from sklearn import datasets

    tables = {
        "breast_cancer": datasets.load_breast_cancer().data,
        "wine": datasets.load_wine().data,
        # The scaled table is the same one in other units.
        "diabetes": datasets.load_diabetes(scaled=False).data,
    }
    for name in ADBENCH_TABLES:
        path = Path(cache_dir) / "adbench" / f"{name}.npz"
        if path.is_file():
            with np.load(path) as arrays:
                tables[name] = arrays["X"][arrays["y"] == 0]
    chosen = {}
    for name, table in tables.items():
        rows = np.random.RandomState(0).permutation(len(table))[:most_rows]
        chosen[name] = table[np.sort(rows)].astype(float)
    return chosen


def area_telling_apart(real: Table, drawn: Table, seed: int) -> float:
    """How well a classifier tells samples from real rows: 0.5 is not at all.

    Area under the ROC curve of gradient boosting, mean of five folds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    rows = np.concatenate([real, drawn])
    is_drawn = np.repeat([0, 1], [len(real), len(drawn)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    classifier = HistGradientBoostingClassifier(random_state=0)
    return float(
        cross_val_score(classifier, rows, is_drawn, cv=folds, scoring="roc_auc").mean()
    )


def nearest_distance_ratio(train: Table, real: Table, drawn: Table) -> float:
    """How far samples are from the nearest training row, relative to real rows.

    Medians of standardised distances. Far below 1 says that training rows are
    given back with little noise.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    nearest = NearestNeighbors(n_neighbors=1).fit(scaler.transform(train))

    def distance(rows: Table) -> float:
        return float(np.median(nearest.kneighbors(scaler.transform(rows))[0]))

    return distance(drawn) / distance(real)


def fit_gaussian_mixture(train: Table, seed: int) -> Any:
    """A mixture in standard units with the number and kind that BIC prefers."""
    from sklearn.mixture import GaussianMixture

    best: tuple[float, Any] | None = None
    for kind in ("full", "tied", "diag", "spherical"):
        for n_components in range(1, 11):
            if 10 * n_components > len(train):
                break
            model = GaussianMixture(
                n_components, covariance_type=kind, random_state=seed
            ).fit(train)
            criterion = model.bic(train)
            if best is None or criterion < best[0]:
                best = criterion, model
    assert best is not None
    return best[1]


def draw_through_quantiles(
    train: Table, n_rows: int, seed: int, *, is_copula: bool
) -> Table:
    """Rows of a distribution of columns that quantiles have made normal.

    Normal itself (a Gaussian copula), or the mixture that BIC prefers.
    """
    from sklearn.mixture import GaussianMixture
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    quantiles = QuantileTransformer(
        n_quantiles=min(len(train), 1000),
        output_distribution="normal",
        random_state=seed,
    )
    normal = quantiles.fit_transform(train)
    scaler = StandardScaler().fit(normal)
    shown = scaler.transform(normal)
    if is_copula:
        model = GaussianMixture(1, random_state=seed).fit(shown)
    else:
        model = fit_gaussian_mixture(shown, seed)
    model.random_state = seed
    rows = scaler.inverse_transform(model.sample(n_rows)[0])
    drawn: Table = quantiles.inverse_transform(rows)
    for column, values in zip(drawn.T, train.T, strict=True):
        levels, counts = np.unique(values, return_counts=True)
        # Between the values of such a column there are none.
        if counts[counts > 1].sum() > len(values) / 2:
            between = (levels[1:] + levels[:-1]) / 2
            column[:] = levels[np.searchsorted(between, column)]
    return drawn


def fit_kernel_density(train: Table) -> Any:
    """A kernel density in standard units with the bandwidth of cross-validation."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KernelDensity

    bandwidths = {"bandwidth": np.logspace(-1.5, 0.3, 13)}
    return GridSearchCV(KernelDensity(), bandwidths).fit(train).best_estimator_


def fit_tvae(table: Any, discrete_columns: list[str], seed: int) -> Any:
    """ctgan's TVAE with its defaults: 300 epochs, on the CPU."""
    import torch
    from ctgan import TVAE

    torch.manual_seed(seed)
    # It has no other seed.
    np.random.seed(seed)  # noqa: NPY002
    model = TVAE(enable_gpu=False)
    model.fit(table, discrete_columns)
    return model
