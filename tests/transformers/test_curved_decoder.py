"""Codes of PCA with a decoder that adds what they say of what PCA loses."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from torch.nn import functional as F

from skautoencoder import AutoencoderTransformer, load, save, to_onnx
from skautoencoder._estimator import curved_decoder
from skautoencoder._estimator.curved_decoder import learn_curve
from skautoencoder.architectures.curved import Curved, CurvedDecoder
from skautoencoder.training import one_thread

EACH_SEED = pytest.mark.parametrize("seed", range(3))


def decoder(n_features: int, code_size: int = 1) -> CurvedDecoder:
    """An untrained decoder whose affine part answers 0."""
    made = CurvedDecoder(code_size, 1024, n_features)
    torch.nn.init.zeros_(made.linear.weight)
    torch.nn.init.zeros_(made.linear.bias)
    return made


def answers(made: CurvedDecoder, codes: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return made(codes.float()).double()


def normal(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@EACH_SEED
@pytest.mark.parametrize("unit", [1e-3, 1.0, 100.0])
def test_a_parabola_is_learnt_beside_noise(seed: int, unit: float) -> None:
    made, codes = decoder(2), unit * normal(150, 1, seed=seed)
    noise = normal(150, 1, seed=seed + 10)
    residuals = torch.cat([(codes / unit) ** 2 - 1, noise], 1)
    assert learn_curve(made, codes, residuals, seed, F.mse_loss)
    new = unit * torch.linspace(-2, 2, 50, dtype=torch.float64)[:, None]
    found = answers(made, new)
    np.testing.assert_allclose(found[:, 0], (new[:, 0] / unit) ** 2 - 1, atol=0.1)
    # What is not predicted is answered by exactly nothing.
    assert not found[:, 1].any()


@pytest.mark.parametrize("n_rows", [12, 100])
def test_noise_leaves_the_decoder_affine(n_rows: int) -> None:
    n_found = 0
    for seed in range(12):
        made, codes = decoder(3, 2), normal(n_rows, 2, seed=seed)
        residuals = normal(n_rows, 3, seed=seed + 20)
        found = learn_curve(made, codes, residuals, seed, F.mse_loss)
        assert found == bool(made.curve.weight.any())
        assert found or not made.curve.bias.any()
        new = normal(500, 2, seed=40)
        assert answers(made, new).square().mean() < 0.5 / n_rows
        n_found += found
    assert n_found <= 3


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss])
def test_losses(loss: Any) -> None:
    made, codes = decoder(1), normal(150, 1, seed=0)
    residuals = torch.sin(2 * codes) + 0.1 * normal(150, 1, seed=1)
    assert learn_curve(made, codes, residuals, 0, loss)
    new = normal(500, 1, seed=2)
    wanted = torch.sin(2 * new)
    assert loss(answers(made, new), wanted) < 0.1 * loss(0 * wanted, wanted)


def test_a_row_that_lies_far_away_is_no_evidence() -> None:
    left_out, targets = 0.1 * normal(60, 1, seed=0), normal(60, 1, seed=1)
    left_out[0] = targets[0] = 10.0
    assert curved_decoder._shares(left_out, targets).item() == 0
    left_out[:30] = targets[:30]
    assert curved_decoder._shares(left_out, targets).item() > 0.7


def test_codes_without_variance_say_nothing() -> None:
    codes = torch.cat([normal(80, 1, seed=0), torch.zeros(80, 1)], 1)
    made = decoder(1, 2)
    assert learn_curve(made, codes, codes[:, :1] ** 2 - 1, 0, F.mse_loss)
    assert not made.hidden.weight[:, 1].any()
    assert not learn_curve(made, 0 * codes, codes[:, :1], 0, F.mse_loss)
    assert made.hidden.weight.isfinite().all()


@pytest.mark.parametrize("n_units", [5, 80])
def test_rows_left_out_are_those_of_a_regression_without_them(n_units: int) -> None:
    units, targets = normal(20, n_units, seed=0), normal(20, 3, seed=1)
    targets = targets + units[:, :3]
    found = curved_decoder._regress(units, targets)
    errors = []
    for penalty in 20 * curved_decoder._PENALTIES:
        left_out = np.empty((20, 3))
        for i in range(20):
            rest = np.arange(20) != i
            # The mean is that of all rows: it is a row's own share of it that goes.
            ridge = Ridge(penalty, fit_intercept=False)
            centred = units - units.mean(0)
            ones = np.full((20, 1), 1e4)
            features = np.hstack([centred.numpy(), ones])
            ridge.fit(features[rest], targets[rest].numpy())
            left_out[i] = ridge.predict(features[[i]])[0]
        errors.append(np.square(targets.numpy() - left_out).sum(0))
    np.testing.assert_allclose(found.errors, np.min(errors, axis=0), rtol=1e-4)
    chosen = 20 * curved_decoder._PENALTIES[np.argmin(errors, axis=0)]
    for j, penalty in enumerate(chosen):
        ridge = Ridge(penalty).fit(units.numpy(), targets[:, j].numpy())
        np.testing.assert_allclose(found.weights[:, j], ridge.coef_, rtol=1e-6)
        np.testing.assert_allclose(found.offset[j], ridge.intercept_, rtol=1e-6)


def test_share_of_a_prediction() -> None:
    # Of n equal squares, the variance of the slope is that of a mean.
    left_out = torch.tensor([1.0, -1.0] * 50, dtype=torch.float64)[:, None]
    noise = torch.tensor([1.0, 1.0, -1.0, -1.0] * 25, dtype=torch.float64)[:, None]
    for slope in (0.05, 0.5, 0.9, -0.5):
        (share,) = curved_decoder._shares(left_out, slope * left_out + noise).tolist()
        variance = 1 / 100 / (1 - 1 / 100) ** 2
        wanted = max(slope - 9 * variance / slope, 0) if slope > 0 else 0
        assert share == pytest.approx(wanted)


# ---- the estimator ----------------------------------------------------------------


def bent(n_rows: int, seed: int = 0) -> np.ndarray:
    """Rows near a curve in a plane, among features of noise."""
    rng = np.random.RandomState(seed)
    t = rng.normal(size=n_rows)
    rows = 0.2 * rng.normal(size=(n_rows, 8))
    rows[:, 0] += 3 * t
    rows[:, 1] += t**2
    return rows


def transformer(**params: Any) -> AutoencoderTransformer:
    return AutoencoderTransformer(1, **{"random_state": 0, **params})


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """The network that codes of PCA are compared with is not asked how good it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoencoderTransformer, "_usual_steps", 10)
        yield


@pytest.fixture(scope="module")
def fitted() -> AutoencoderTransformer:
    return transformer().fit(bent(40))


def error(found: Any, X: np.ndarray) -> float:
    return float(np.square(np.asarray(found) - X).sum())


def of_pca(X: np.ndarray, X_new: np.ndarray) -> np.ndarray:
    pca = PCA(1).fit(X)
    return pca.inverse_transform(pca.transform(X_new))


def test_codes_are_those_of_pca_and_the_error_is_lower(
    fitted: AutoencoderTransformer,
) -> None:
    assert fitted.has_linear_codes_
    assert not fitted.is_linear_
    X, X_new = bent(40), bent(500, 1)
    codes, wanted = fitted.transform(X_new)[:, 0], PCA(1).fit(X).transform(X_new)[:, 0]
    assert abs(np.corrcoef(codes, wanted)[0, 1]) == pytest.approx(1, abs=1e-6)
    found = error(fitted.predict(X_new), X_new)
    assert found < 0.5 * error(of_pca(X, X_new), X_new)


def test_the_same_bits(fitted: AutoencoderTransformer, tmp_path: Path) -> None:
    X = bent(77, 1)
    wanted, before = fitted.predict(X), torch.get_rng_state()
    save(fitted, tmp_path / "curved.safetensors")
    others = [load(tmp_path / "curved.safetensors"), pickle.loads(pickle.dumps(fitted))]
    with one_thread():
        others.append(clone(fitted).fit(bent(40)))
    for other in others:
        assert other.has_linear_codes_
        assert not other.is_linear_
        np.testing.assert_array_equal(other.predict(X), wanted)
    for i in (0, 5, 76):
        np.testing.assert_array_equal(fitted.predict(X[i : i + 1]), wanted[i : i + 1])
    assert torch.equal(torch.get_rng_state(), before)


def test_double_precision_as_the_default_of_torch(
    fitted: AutoencoderTransformer,
) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        other = clone(fitted).fit(bent(40))
    finally:
        torch.set_default_dtype(torch.float32)
    X = bent(77, 1)
    np.testing.assert_array_equal(other.predict(X), fitted.predict(X))


def test_further_training_stays_near(fitted: AutoencoderTransformer) -> None:
    X, X_new = bent(40), bent(500, 1)
    other = pickle.loads(pickle.dumps(fitted))
    hidden = other.decoder_.hidden.weight.clone()
    limit = error(of_pca(X, X_new), X_new)
    for _ in range(10):
        other.partial_fit(X)
        assert error(other.predict(X_new), X_new) < limit
    assert not np.array_equal(other.predict(X), fitted.predict(X))
    assert torch.equal(other.decoder_.hidden.weight, hidden)
    again = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True)
    again.fit(X)
    assert isinstance(again.net_.module_.decoder, CurvedDecoder)
    assert error(again.predict(X_new), X_new) < limit


def test_summary_and_onnx(fitted: AutoencoderTransformer) -> None:
    summary = fitted.summary()
    assert "decoder.curve" in summary
    assert "are learnt" in summary
    onnxruntime = pytest.importorskip("onnxruntime")
    X = bent(20, 1).astype(np.float32)
    for method in ("transform", "predict"):
        model = to_onnx(fitted, method).SerializeToString()
        (found,) = onnxruntime.InferenceSession(model).run(None, {"X": X})
        np.testing.assert_allclose(found, getattr(fitted, method)(X), atol=1e-4)


def test_validation_rows_decide_on_the_curve() -> None:
    # Where t² has the opposite sign, the curve is wrong.
    other = bent(40, 1) * [1, -1, 1, 1, 1, 1, 1, 1]
    assert transformer().fit(bent(40), X_valid=other).is_linear_


def test_many_rows_are_learnt_from_some_of_them() -> None:
    X = bent(2100)
    fitted = transformer(batch_size=512).fit(X)
    assert error(fitted.predict(X), X) < 0.5 * error(of_pca(X, X), X)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_row_far_away_is_answered_as_by_pca(
    fitted: AutoencoderTransformer, sign: int
) -> None:
    """Nothing was learnt there: a curve that went on would add errors of its own."""
    X, axis = bent(40), fitted.encoder_[0].weight.detach().numpy()
    end = X[np.argmax(sign * fitted.transform(X)[:, 0])]
    steps = np.array([0.0, 1.0, 10.0, 100.0])[:, None] * sign * axis
    answers = fitted.predict(end + steps) - fitted.predict(end[None])
    np.testing.assert_allclose(answers, steps, rtol=1e-4, atol=1e-4)


def test_an_untrained_curved_network_is_affine() -> None:
    network = Curved(16).build((5,), 2)
    codes = normal(3, 2, seed=0).float()
    expected = network.decoder.linear(codes)
    assert torch.equal(network.decode(codes), expected)
    with pytest.raises(ValueError, match="n_hidden_units"):
        Curved(0).build((5,), 2)
