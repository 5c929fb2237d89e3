"""What comes back from a file: every estimator with every architecture."""

from __future__ import annotations

import inspect
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from fits import waves
from helpers import IMAGES, OF_ROWS, ROWS, tiny_conv, tiny_dense, weights_of
from safetensors.torch import load_file
from sklearn import config_context
from sklearn.base import clone

import skautoencoder
from skautoencoder import (
    KL,
    L1,
    MMD,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Contraction,
    Conv,
    Conv1d,
    DenoisingAutoencoder,
    Dense,
    Recurrent,
    SeriesOutlierDetector,
    TopK,
    VAEOverSampler,
    VAESampler,
    load,
    save,
)

X, SERIES = ROWS[:60], waves(60, 12)
RAGGED = [series[: 6 + i % 7] for i, series in enumerate(SERIES)]
HOLES = np.where(np.random.RandomState(0).random(X.shape) < 0.1, np.nan, X)
HOW: dict[str, Any] = {"max_epochs": 1, "random_state": 0}
SMALL: dict[str, Any] = {"architecture": Dense((6,)), "n_importance_samples": 2, **HOW}


def table(n_rows: int = 60) -> pd.DataFrame:
    random = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "width": random.normal(size=n_rows),
            "länge": np.where(random.rand(n_rows) < 0.4, 0.0, random.rand(n_rows)),
            "kind": pd.Categorical(random.choice(["a", "b", "ß"], n_rows)),
            "span": pd.cut(random.rand(n_rows), 3),
            "count": pd.array(random.randint(0, 4, n_rows), dtype="Int64"),
            "price": [Decimal(f"{v:.2f}") for v in random.rand(n_rows)],
            "yes": random.rand(n_rows) < 0.5,
            "large": random.randint(0, 2**40, n_rows),
            "id": np.ulonglong(random.randint(0, 9, n_rows)),
            "text": pd.array(random.choice(["x", "y"], n_rows), dtype="string"),
            "sparse": pd.arrays.SparseArray(random.randint(0, 3, n_rows)),
        }
    )


def gapped() -> Any:
    series = waves(1, 200)[0] + np.random.RandomState(0).normal(0, 0.1, (200, 2))
    series[50:53] = np.nan
    return series


ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "dense": (Dense((6,), batch_norm=True, dropout=0.1), X),
    "tied": (Dense((6,), tied_weights=True, code_batch_norm=True), X),
    "conv": (Conv((3, 4), residual=True, batch_norm=True), IMAGES[:60]),
    "strided": (
        Conv((3, 4), downsampling="stride", upsampling="transpose"),
        IMAGES[:60, :7, :5],
    ),
    "skips": (Conv((3, 4), skip_connections=True), IMAGES[:60]),
    "conv1d": (Conv1d((4, 4)), SERIES),
    "recurrent": (
        Recurrent("gru", hidden_size=4, n_layers=2, bidirectional=True),
        SERIES,
    ),
}
ESTIMATORS: dict[str, Any] = {
    "transformer": AutoencoderTransformer(2, **HOW),
    "denoiser": DenoisingAutoencoder(code_size=2, **HOW),
    "detector": AutoencoderOutlierDetector(2, calibration_fraction=0.2, **HOW),
    "novelty": AutoencoderOutlierDetector(2, novelty=True, **HOW),
    "imputer": AutoencoderImputer(code_size=2, **HOW),
    "sampler": VAESampler(2, n_importance_samples=2, **HOW),
}


def cases() -> Any:
    for name, estimator in ESTIMATORS.items():
        for kind, (architecture, samples) in ARCHITECTURES.items():
            if name != "transformer" and (name == "denoiser" or kind != "conv"):
                continue  # networks are stored in the same way for all
            made = clone(estimator).set_params(architecture=architecture)
            if kind == "skips":
                made.set_params(code_size=None)
            yield pytest.param(made, samples, id=f"{name}-{kind}")
    for name, estimator in OF_ROWS.items():
        yield pytest.param(estimator, HOLES if name == "imputer" else X, id=name)
    for penalty in (L1(), KL(), TopK(2), Contraction(), MMD()):
        made = tiny_dense(penalty=penalty, max_epochs=1)
        yield pytest.param(made, X, id=type(penalty).__name__)
    for activation in ("gelu", "leaky_relu"):
        made = tiny_dense(architecture=Dense((6,), activation=activation), max_epochs=1)
        yield pytest.param(made, X, id=activation)
    others = {
        "map": (tiny_conv(None, max_epochs=1), IMAGES[:60]),
        "stopping": (tiny_dense(early_stopping=True, batch_size=8), X),
        "indicator": (AutoencoderImputer(add_indicator=True, **HOW), HOLES),
        "images": (
            AutoencoderImputer(architecture=Conv((3, 4)), **HOW),
            HOLES.reshape(-1, 8, 8),
        ),
        "salt": (DenoisingAutoencoder(noise="salt_and_pepper", **HOW), X - 0.5),
        "shared": (VAESampler(2, variance="shared", **SMALL), IMAGES[:60] - 0.5),
        "bytes": (VAESampler(2, **SMALL), (IMAGES[:60] * 255).astype(np.uint8)),
        "frame": (VAESampler(2, **SMALL), table()),
        "polars": (VAESampler(2, **SMALL), polars.DataFrame(ROWS[:60, 10:14])),
        "normal": (VAESampler(2, prior="normal", **SMALL), X[:, 20:30]),
        "lengths": (
            AutoencoderTransformer(3, architecture=Conv1d((4, 4)), **HOW),
            RAGGED,
        ),
        "lengths, recurrent": (
            DenoisingAutoencoder(
                code_size=3,
                architecture=Recurrent(hidden_size=4),
                penalty=L1(),
                **HOW,
            ),
            RAGGED,
        ),
        "lengths, detector": (
            AutoencoderOutlierDetector(3, architecture=Conv1d((4, 4)), **HOW),
            RAGGED[:20],
        ),
        "series": (SeriesOutlierDetector(6, **HOW), gapped()),
        "names": (tiny_dense(max_epochs=1), pd.DataFrame(X).add_prefix("ö")),
    }
    for name, (estimator, samples) in others.items():
        yield pytest.param(estimator, samples, id=name)


METHODS = (
    "transform predict score_samples score decision_function explain p_values".split()
)


def answers(estimator: Any, samples: Any) -> dict[str, Any]:
    """Return what all methods say that a fitted estimator has."""
    found = {}
    for name in METHODS:
        if hasattr(estimator, name):
            try:
                found[name] = getattr(estimator, name)(samples)
            except ValueError as error:  # p_values without rows set aside
                found[name] = str(error)
    if hasattr(estimator, "inverse_transform"):
        found["inverse_transform"] = estimator.inverse_transform(found["transform"])
    if hasattr(estimator, "sample"):
        found["sample"] = estimator.sample(5, random_state=1)
        found["interpolate"] = estimator.interpolate(samples[:1], samples[1:2], 3)
    if hasattr(estimator, "get_feature_names_out"):
        found["names"] = estimator.get_feature_names_out()
    return found


def assert_same(one: Any, other: Any) -> None:
    """Assert that two values are equal, bit for bit, and of the same types."""
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    elif isinstance(one, polars.DataFrame):
        assert one.schema == other.schema
        assert one.equals(other)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def stored(estimator: Any, folder: Path, custom_objects: Any = None) -> Any:
    save(estimator, folder / "model.safetensors")
    return load(folder / "model.safetensors", custom_objects)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of fits that are too short
@pytest.mark.parametrize(("estimator", "samples"), list(cases()))
def test_all_answers_are_the_same_bits(
    estimator: Any, samples: Any, tmp_path: Path
) -> None:
    fitted = clone(estimator).fit(samples)
    loaded = stored(fitted, tmp_path)
    before, after = answers(fitted, samples), answers(loaded, samples)
    assert before.keys() == after.keys()
    for name, said in before.items():
        assert_same(said, after[name])
    assert repr(loaded) == repr(fitted)
    assert vars(loaded).keys() == vars(fitted).keys()
    assert loaded.history_ is loaded.net_.history
    assert list(loaded.history_) == list(fitted.history_)
    for name, weight in weights_of(fitted).items():
        twin = weights_of(loaded)[name]
        assert torch.equal(weight, twin), name
        assert weight.stride() == twin.stride(), name
    trains = [
        [w.requires_grad for w in e.net_.module_.parameters()] for e in (fitted, loaded)
    ]
    assert trains[0] == trains[1]
    size = (tmp_path / "model.safetensors").stat().st_size
    n_columns = len(getattr(fitted, "column_kinds_", None) or ())
    assert size < 1.1 * size_of_arrays(fitted) + 20_000 + 1000 * n_columns


def size_of_arrays(estimator: Any) -> int:
    """Return the bytes of all different arrays that an estimator refers to."""
    seen: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            seen[id(value)] = value.numel() * value.element_size()
        elif isinstance(value, np.ndarray):
            seen[id(value)] = value.nbytes
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)
        elif type(value).__module__.startswith("skautoencoder"):
            for item in vars(value).values():
                visit(item)

    keep = weights_of(estimator)
    visit(list(keep.values()))
    for name, value in vars(estimator).items():
        if name != "net_":
            visit(value)
    return sum(seen.values())


@pytest.mark.parametrize("name", ["transformer", "table", "detector", "imputer"])
def test_a_loaded_estimator_learns_on(name: str, tmp_path: Path) -> None:
    fitted = clone(OF_ROWS[name]).set_params(warm_start=True).fit(X)
    loaded = stored(fitted, tmp_path)
    for estimator in (fitted, loaded):
        estimator.fit(X)
    assert loaded.n_iter_ == 2
    for key, weight in weights_of(fitted).items():
        assert torch.equal(weight, weights_of(loaded)[key])


def test_partial_fits_go_on_from_what_is_stored(tmp_path: Path) -> None:
    fitted = tiny_dense().partial_fit(X[:30])
    loaded = stored(fitted, tmp_path)
    for estimator in (fitted, loaded):
        estimator.partial_fit(X[30:]).partial_fit(X[:30])
    for key, weight in weights_of(fitted).items():
        assert torch.equal(weight, weights_of(loaded)[key])


def test_only_partial_fit_stores_the_optimizer(tmp_path: Path) -> None:
    model = tiny_dense(architecture=Dense((128,)))
    sizes = []
    for fitted in (model.fit(X), clone(model).partial_fit(X)):
        save(fitted, tmp_path / "model")
        sizes.append((tmp_path / "model").stat().st_size)
    n_bytes = sum(w.nbytes for w in weights_of(model).values())
    assert sizes[0] < 1.1 * n_bytes + 6_000
    assert sizes[1] > 2.9 * n_bytes


PARAMETERS: list[dict[str, Any]] = [
    {"random_state": np.random.RandomState(3)},
    {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5},
    {"optimizer": "adamw", "optimizer__weight_decay": np.float32(0.25)},
    {"sample_shape": np.array([8, 8]), "architecture": Conv(np.array([3, 4]))},
    {"device": torch.device("cpu"), "lr": np.float32(0.25), "batch_size": np.int64(16)},
    {"penalty": [L1(1e-3), Contraction(0.1)], "iterator_train__shuffle": False},
]


@pytest.mark.parametrize("params", PARAMETERS, ids=lambda params: next(iter(params)))
def test_parameters_come_back(params: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_dense(max_epochs=1).set_params(**params)
    for estimator in (model, clone(model).fit(X)):
        loaded = stored(estimator, tmp_path)
        assert repr(loaded).split(" at 0x")[0] == repr(estimator).split(" at 0x")[0]
        assert hasattr(loaded, "net_") == hasattr(estimator, "net_")
        states = [clone(e).fit(X) for e in (estimator, loaded)]
        for key, weight in weights_of(states[0]).items():
            assert torch.equal(weight, weights_of(states[1])[key])


def test_a_folder_comes_back_as_a_path(tmp_path: Path) -> None:
    loaded = stored(tiny_dense(checkpoint=tmp_path / "folder"), tmp_path)
    assert loaded.checkpoint == tmp_path / "folder"


def test_an_over_sampler_draws_the_same_rows(tmp_path: Path) -> None:
    y = np.array(["a"] * 45 + ["b"] * 15)
    model = VAEOverSampler(VAESampler(2, **SMALL), random_state=0)
    model.fit_resample(X, y)
    loaded = stored(model, tmp_path)
    assert loaded.sampling_strategy_ == model.sampling_strategy_
    assert_same(loaded.classes_, model.classes_)
    drawn = [e.sampler_.sample(4, 0, y="b") for e in (model, loaded)]
    assert_same(*drawn)
    for one, other in zip(
        model.fit_resample(X, y), loaded.fit_resample(X, y), strict=True
    ):
        assert_same(one, other)


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 1] * 30),
        np.array(["no", "yes"] * 30),
        pd.Series(["no", "yes"] * 30, dtype="category"),
        np.array([True, False] * 30),
    ],
    ids=["int", "str", "category", "bool"],
)
def test_classes_come_back(y: Any, tmp_path: Path) -> None:
    fitted = VAESampler(2, conditional=True, **SMALL).fit(X[:, 20:30], y)
    loaded = stored(fitted, tmp_path)
    assert_same(loaded.classes_, fitted.classes_)
    assert_same(loaded.sample(3, 0, y=y[0]), fitted.sample(3, 0, y=y[0]))


def test_types_of_arrow_with_parameters_come_back(tmp_path: Path) -> None:
    """Parquet gives these: categories and money."""
    arrow = pytest.importorskip("pyarrow")
    levels = arrow.array(["no", "yes"] * 30).dictionary_encode()
    numbers = arrow.array([3, 5] * 30).dictionary_encode()
    money = pd.ArrowDtype(arrow.decimal128(10, 2))
    table = pd.DataFrame(
        {
            "level": pd.arrays.ArrowExtensionArray(levels),
            "number": pd.arrays.ArrowExtensionArray(numbers),
            "money": pd.Series(X[:, 20].round(2)).astype(money),
        }
    )
    fitted = VAESampler(2, **SMALL).fit(table)
    drawn = fitted.sample(5, 0)
    assert list(drawn.dtypes) == list(table.dtypes)
    assert set(drawn["level"]) <= {"no", "yes"}
    assert set(drawn["number"]) <= {3, 5}
    assert_same(stored(fitted, tmp_path).sample(5, 0), drawn)


def test_a_file_is_one_of_safetensors(tmp_path: Path) -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    save(fitted, tmp_path / "model.safetensors")
    arrays = list(load_file(tmp_path / "model.safetensors").values())
    for weight in weights_of(fitted).values():
        assert any(torch.equal(weight, a) for a in arrays if a.shape == weight.shape)


def test_saving_replaces_a_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    fitted = tiny_dense(max_epochs=1).fit(X)
    save(fitted, path)
    (tmp_path / "link").symlink_to(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", _full)
        with pytest.raises(OSError, match="No space left"):
            save(fitted.fit(X[:30]), path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "model"]
    save(fitted, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert path.read_bytes() != before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    for path in (tmp_path / "nowhere" / "model", tmp_path):
        with pytest.raises(OSError, match=f"'{path}'$") as caught:
            save(fitted, path)
        assert caught.value.filename == str(path)


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save(tiny_dense(), path)
    path.chmod(0o600)
    save(tiny_dense(), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_generator_of_torch_is_left_alone(tmp_path: Path) -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    before = torch.get_rng_state()
    stored(fitted, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_device_that_is_not_here_becomes_the_cpu(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    fitted = tiny_dense(max_epochs=1).fit(X)
    fitted.set_params(device="cuda")
    fitted.net_.device = "cuda"
    loaded = stored(fitted, tmp_path)
    assert loaded.net_.device == "cpu"
    assert loaded.device == "cuda"
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_every_class_that_a_fit_leaves_is_listed() -> None:
    """Estimators that are missing in the table would not be found by their users."""
    from skautoencoder.persistence import classes

    public = {
        name
        for name in skautoencoder.__all__
        if inspect.isclass(kind := getattr(skautoencoder, name))
        and hasattr(kind, "fit")
    }
    assert public == set(classes.ESTIMATORS)


def test_output_and_metadata_requests_come_back(tmp_path: Path) -> None:
    denoiser = DenoisingAutoencoder(code_size=2, architecture=Dense((6,)), **HOW)
    denoiser.set_output(transform="pandas")
    with config_context(enable_metadata_routing=True):
        denoiser.set_fit_request(X_clean="clean").fit(X)
        loaded = stored(denoiser, tmp_path)
        requests = [e.get_metadata_routing().fit.requests for e in (denoiser, loaded)]
    assert requests[0] == requests[1]
    assert requests[0]["X_clean"] == "clean"
    assert_same(loaded.transform(X), denoiser.transform(X))
    assert isinstance(loaded.transform(X), pd.DataFrame)


def test_what_a_file_cannot_hold_is_named(tmp_path: Path) -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    fitted.history_[-1]["seen"] = object()
    with pytest.raises(TypeError, match=r"AutoencoderTransformer.*seen.*object"):
        save(fitted, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        save(tiny_dense(), tmp_path / "nowhere" / "model")


def test_the_name_in_progress_bars_comes_back(tmp_path: Path) -> None:
    denoiser = DenoisingAutoencoder(code_size=2, architecture=Dense((6,)), **HOW)
    assert stored(denoiser.fit(X), tmp_path).net_.label == "DenoisingAutoencoder"
