"""ONNX models, run in onnxruntime, beside the estimators that they were made from."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fits import waves
from helpers import IMAGES, ROWS, tiny_conv, tiny_dense
from skl2onnx import to_onnx as pipeline_to_onnx
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skautoencoder
from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Conv,
    Conv1d,
    Custom,
    DenoisingAutoencoder,
    Dense,
    Recurrent,
    TopK,
    VAESampler,
    to_onnx,
)
from skautoencoder.deployment import register_converters
from skautoencoder.deployment.answers import METHODS

X = ROWS[:60].astype(np.float32)
LARGE = 1000 * X - 300
PICTURES = IMAGES[:60, :7, :5].astype(np.float32)
SERIES = waves(60, 9).astype(np.float32)
HOW: dict[str, Any] = {"max_epochs": 1, "random_state": 0}


def modules() -> Custom:
    # GroupNorm asks for the shape of samples in Python.
    encoder = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.GroupNorm(1, 2), nn.PReLU()
    )
    decoder = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 35), nn.Unflatten(1, (1, 7, 5)), nn.Sigmoid()
    )
    return Custom(encoder, decoder)


ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "dense": (Dense((6, 5), batch_norm=True, dropout=0.2), LARGE),
    "sigmoid": (Dense((6,)), X),
    "tied": (Dense((6,), tied_weights=True, activation="gelu"), LARGE),
    "conv": (Conv((3, 4), batch_norm=True, residual=True), PICTURES),
    "strided": (Conv((3,), downsampling="stride", upsampling="transpose"), PICTURES),
    "wide": (Conv((3, 4), kernel_size=5, hidden_layer_sizes=(6,)), PICTURES - 0.5),
    "conv1d": (Conv1d((4, 4), batch_norm=True), SERIES),
    "lstm": (Recurrent(hidden_size=4, n_layers=2), SERIES),
    "gru": (Recurrent("gru", hidden_size=4, bidirectional=True), SERIES),
}
ESTIMATORS: dict[str, Any] = {
    "transformer": AutoencoderTransformer(2, **HOW),
    "denoiser": DenoisingAutoencoder(code_size=2, **HOW),
    "detector": AutoencoderOutlierDetector(2, contamination=0.1, **HOW),
}
# The network is exported in the same way for all.
FOR_OTHERS = {"denoiser": {"dense"}, "detector": {"dense", "conv"}}
OTHERS: dict[str, tuple[Any, Any]] = {
    "novelty": (
        AutoencoderOutlierDetector(2, novelty=True, n_neighbors=3, **HOW),
        LARGE,
    ),
    "map": (tiny_conv(None, max_epochs=1), PICTURES),
    "skips": (
        AutoencoderTransformer(
            None, architecture=Conv((3, 4), skip_connections=True), **HOW
        ),
        PICTURES,
    ),
    "top_k": (tiny_dense(4, penalty=TopK(2), max_epochs=1), X),
    "custom": (
        AutoencoderTransformer(None, architecture=modules(), **HOW),
        PICTURES[:, np.newaxis],
    ),
    "ordered": (
        AutoencoderTransformer(5, ordered=True, architecture=Dense((6,)), **HOW),
        LARGE,
    ),
    "ordered, of a chosen size": (
        AutoencoderTransformer("auto", architecture=Dense((6,)), **HOW),
        X,
    ),
    "ordered conv": (tiny_conv(4, ordered=True, max_epochs=1), PICTURES),
    "sampler": (VAESampler(2, likelihood="gaussian", **HOW), LARGE),
    "sampler of bytes": (
        VAESampler(2, architecture=Conv((3,)), **HOW),
        (255 * PICTURES).astype(np.uint8),
    ),
}


# Where all methods are asked; elsewhere one that needs the whole network.
ALL_METHODS = {
    *("transformer-dense", "transformer-conv", "detector-dense"),
    *("sampler", "sampler of bytes"),
}


def cases() -> list[Any]:
    found = {
        f"{name}-{kind}": (
            clone(estimator).set_params(architecture=architecture),
            samples,
        )
        for name, estimator in ESTIMATORS.items()
        for kind, (architecture, samples) in ARCHITECTURES.items()
        if name == "transformer" or kind in FOR_OTHERS[name]
    }
    made = []
    for name, (estimator, samples) in (found | OTHERS).items():
        methods = next(m for kind, m in METHODS.items() if isinstance(estimator, kind))
        if name not in ALL_METHODS:
            is_detector = isinstance(estimator, AutoencoderOutlierDetector)
            methods = ("score_samples" if is_detector else "predict",)
        made.append(pytest.param(estimator, samples, methods, id=name))
    return made


@pytest.mark.filterwarnings("ignore::UserWarning")  # of fits that are too short
@pytest.mark.parametrize(("estimator", "samples", "methods"), cases())
def test_a_model_answers_as_the_estimator(
    estimator: Any, samples: Any, methods: tuple[str, ...]
) -> None:
    fitted = clone(estimator).fit(samples)
    state = torch.get_rng_state()
    for method in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = to_onnx(fitted, method)
        onnx.checker.check_model(model)
        assert [output.name for output in model.graph.output] == [method]
        given = samples
        if method == "inverse_transform":
            given = fitted.transform(samples)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        for n_samples in (1, 60):
            part = given[:n_samples]
            (answers,) = session.run(None, {"X": part.astype(np.float32)})
            expected = getattr(fitted, method)(part)
            assert answers.shape == expected.shape
            if method == "predict" and answers.dtype == np.int64:
                np.testing.assert_array_equal(answers, expected)
                continue
            assert answers.dtype == np.float32
            scale = max(np.abs(expected).max(), 1.0)
            np.testing.assert_allclose(answers / scale, expected / scale, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_estimator_is_left_as_it_was() -> None:
    fitted = tiny_conv(max_epochs=1).fit(PICTURES)
    before = fitted.transform(PICTURES)
    layouts = [w.stride() for w in fitted.net_.module_.parameters()]
    to_onnx(fitted)
    np.testing.assert_array_equal(fitted.transform(PICTURES), before)
    assert not fitted.net_.module_.training
    assert [w.stride() for w in fitted.net_.module_.parameters()] == layouts


def test_a_device_by_default_changes_nothing() -> None:
    estimator = tiny_dense().fit(ROWS[:100])
    expected = to_onnx(estimator, "score_samples").SerializeToString()
    with torch.device("meta"):
        found = to_onnx(estimator, "score_samples").SerializeToString()
    assert found == expected


def test_what_has_no_model_is_said() -> None:
    table = VAESampler(2, **HOW).fit(X[:, 20:25])
    with pytest.raises(ValueError, match="learnt from a table"):
        to_onnx(table)
    ragged = [series[: 5 + i % 5] for i, series in enumerate(SERIES)]
    lengths = AutoencoderTransformer(3, architecture=Conv1d((4,)), **HOW).fit(ragged)
    with pytest.raises(ValueError, match="different lengths"):
        to_onnx(lengths)
    for other in (AutoencoderImputer(), make_pipeline(tiny_dense()), nn.Linear(2, 2)):
        with pytest.raises(ValueError, match=r"got \w+.*register_converters"):
            to_onnx(other)
    with pytest.raises(ValueError, match=r"one of transform.*got 'decision_function'"):
        to_onnx(tiny_dense().fit(X), "decision_function")
    with pytest.raises(ValueError, match="is not fitted"):
        to_onnx(tiny_dense())


class Own(nn.Linear):
    """A module of the user's own, which ends in a function."""

    def __init__(self, end: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(64, 3)
        self.end = end

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.end(super().forward(rows))


def ending_in(end: Any) -> AutoencoderTransformer:
    own = Custom(Own(end), nn.Linear(3, 64))
    return AutoencoderTransformer(None, architecture=own, **HOW).fit(X)


@pytest.mark.filterwarnings("ignore:.*worse than the mean")
def test_modules_that_torch_cannot_export_are_said() -> None:
    found: dict[str, Any] = {}
    code = "def negate(codes):\n    return -codes if codes.sum() > 0 else codes"
    # In a folder beside that of the package.
    file = f"{Path(skautoencoder.__file__).parent}_own/modules.py"
    exec(compile(code, file, "exec"), found)
    message = r"modules.py, line 2, looks at samples in Python.*torch\.where"
    with pytest.warns(UserWarning, match=message):
        to_onnx(ending_in(found["negate"]))
    with pytest.raises(ValueError, match=r"no ONNX operators .*aten::i0"):
        to_onnx(ending_in(torch.special.i0))


@pytest.mark.parametrize(
    ("opset", "dtype"), [(15, np.float32), (17, np.float64), (None, np.float32)]
)
def test_pipelines_are_converted_by_skl2onnx(opset: int | None, dtype: Any) -> None:
    register_converters()
    given = X.astype(dtype)
    code = tiny_dense(max_epochs=1)
    for last in (code, AutoencoderOutlierDetector(2, contamination=0.1, **HOW)):
        made = make_pipeline(StandardScaler(), last).fit(given)
        model = pipeline_to_onnx(made, given[:1], target_opset=opset)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        answers = session.run(None, {"X": given[:7]})
        if last is code:
            expected = made.transform(given[:7])
            np.testing.assert_allclose(answers[0], expected, atol=1e-5)
        else:
            np.testing.assert_array_equal(answers[0], made.predict(given[:7]))
            expected = made.decision_function(given[:7])
            np.testing.assert_allclose(answers[1], expected, atol=1e-5)


def test_a_pipeline_of_several_of_our_steps() -> None:
    register_converters()
    steps = tiny_dense(max_epochs=1), StandardScaler(), tiny_conv(2, max_epochs=1)
    made = make_pipeline(*steps, LogisticRegression()).fit(X, np.arange(60) % 2)
    model = pipeline_to_onnx(made, X[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    _, chances = session.run(None, {"X": X[:7]})
    np.testing.assert_allclose(chances, made.predict_proba(X[:7]), atol=1e-5)


def test_codes_of_a_sampler_in_a_pipeline() -> None:
    register_converters()
    made = make_pipeline(StandardScaler(), VAESampler(2, likelihood="gaussian", **HOW))
    model = pipeline_to_onnx(made.fit(X), X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (codes,) = session.run(None, {"X": X[:7]})
    np.testing.assert_allclose(codes, made.transform(X[:7]), atol=1e-5)
    with pytest.raises(ValueError, match="learnt from a table"):
        pipeline_to_onnx(make_pipeline(VAESampler(2, **HOW)).fit(X[:, 20:25]), X[:1])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"skautoencoder\[onnx\]"):
        to_onnx(fitted)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"skautoencoder\[onnx\]"):
        register_converters()
