"""Products in blocks, each computed by one thread."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_answers, assert_same_weights
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Conv, Custom, Dense
from skautoencoder.training import blocks
from skautoencoder.training.blocks import Blocks
from skautoencoder.training.threads import crew_of

IMAGES = np.random.default_rng(0).random((50, 12, 10), dtype=np.float32)
ROWS = IMAGES.reshape(50, -1)


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch, three_processors: None) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_WORK", 1.0)
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 64)
    monkeypatch.setattr(blocks, "_SHORT", 40)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (
        lambda: nn.Sequential(nn.Linear(77, 50), nn.Tanh(), nn.Linear(50, 130)),
        (70, 77),
    ),
    "no bias, further axes": (lambda: nn.Linear(7, 50, bias=False), (4, 5, 7)),
    "one row": (lambda: nn.Linear(7, 50), (7,)),
    "down and up": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.ConvTranspose2d(6, 3, 4, 2, 1),
        ),
        (7, 2, 8, 8),
    ),
    "one axis": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 6, 3, groups=2, dilation=2),
            nn.Tanh(),
            nn.ConvTranspose1d(6, 3, 3, stride=2, output_padding=1),
        ),
        (7, 2, 9),
    ),
    "padding by name": (lambda: nn.Conv1d(2, 6, 3, padding="same"), (7, 2, 9)),
    "three axes": (lambda: nn.Conv3d(2, 4, 3, padding=(1, 0, 1)), (5, 2, 4, 4, 4)),
    "one image": (lambda: nn.Conv2d(2, 4, 3), (2, 5, 5)),
    "fewer images than blocks": (lambda: nn.Conv2d(2, 4, 3), (2, 2, 5, 5)),
}


def asked(module: nn.Module, data: Tensor, *, twice: bool) -> list[Tensor]:
    """Return outputs and gradients; `twice`, of a gradient's length, too."""
    module, data = copy.deepcopy(module), data.clone().requires_grad_()
    outputs = module(data)
    objective = outputs.float().square().sum()
    if twice:
        (slope,) = torch.autograd.grad(objective, data, create_graph=True)
        objective = objective + 0.01 * slope.float().square().sum()
    objective.backward()
    gradients = [weight.grad for weight in module.parameters()]
    return [t.detach() for t in (outputs, data.grad, *gradients) if t is not None]


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_the_same_numbers_on_any_number_of_threads(
    name: str, precise: bool, twice: bool
) -> None:
    torch.manual_seed(0)
    make, shape = MODULES[name]
    module, data = make(), torch.randn(shape)
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        torch.set_num_threads(1)
        expected = asked(module, data, twice=twice)
        found = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            with crew_of(3) as crew, Blocks(crew):
                found.append(asked(module, data, twice=twice))
    for results in found:
        for one, result, plain in zip(found[0], results, expected, strict=True):
            assert torch.equal(result, one)
            assert result.dtype == plain.dtype
            unit = float(plain.abs().max())
            accuracy = 1e-5 if precise else 0.02
            torch.testing.assert_close(result, plain, rtol=0, atol=accuracy * unit)


def test_work_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    n_tasks: list[int] = []
    with crew_of(3) as crew:
        do = crew.do
        monkeypatch.setattr(
            crew, "do", lambda tasks: (n_tasks.append(len(tasks)), do(tasks))
        )
        layer, rows = nn.Linear(40, 96), torch.randn(64, 40)
        with Blocks(crew):
            outputs = layer(rows)
        outputs.sum().backward()
        # Three blocks of outputs; three of the gradient by the matrix and a sum.
        assert n_tasks == [3, 4]
        monkeypatch.setattr(blocks, "_BLOCK_WORK", 1e9)
        with Blocks(crew):
            layer(rows)
        assert n_tasks == [3, 4]


@pytest.mark.parametrize("name", MODULES)
def test_what_is_short_is_torch_s_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_WORK", 1e9)
    torch.manual_seed(0)
    make, shape = MODULES[name]
    module, data = make(), torch.randn(shape)
    torch.set_num_threads(1)
    with torch.autocast("cpu", torch.bfloat16):
        expected = asked(module, data, twice=False)
        with crew_of(3) as crew, Blocks(crew):
            found = asked(module, data, twice=False)
    for result, plain in zip(found, expected, strict=True):
        assert torch.equal(result, plain)


def test_double_precision_stays() -> None:
    layer, images = nn.Conv2d(2, 4, 3).double(), torch.randn(5, 2, 6, 6).double()
    linear, rows = nn.Linear(9, 40).double(), torch.randn(70, 9).double()
    for module, data in ((layer, images), (linear, rows)):
        with crew_of(3) as crew, Blocks(crew):
            found = asked(module, data, twice=False)
        for result, plain in zip(found, asked(module, data, twice=False), strict=True):
            assert result.dtype == torch.float64
            torch.testing.assert_close(result, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["linear", "down and up"])
def test_types_that_do_not_fit_are_torch_s_to_refuse(name: str) -> None:
    make, shape = MODULES[name]
    module, data = make(), torch.randn(shape, dtype=torch.float64)
    with pytest.raises(RuntimeError) as expected:
        module(data)
    with crew_of(3) as crew, Blocks(crew), pytest.raises(RuntimeError) as found:
        module(data)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda weights: torch.optim.Adam(weights, fused=True),
        lambda weights: torch.optim.AdamW(weights, fused=True, amsgrad=True),
        lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, fused=True),
        lambda weights: torch.optim.SGD(weights, 0.1, fused=True),
        lambda weights: torch.optim.Adam(weights),
    ],
)
def test_steps_of_optimizers_are_the_same_bits(make: Callable[..., Any]) -> None:
    def stepped(n_threads: int | None) -> list[Tensor]:
        torch.manual_seed(0)
        weights = [torch.randn(s).requires_grad_() for s in [(37, 11), (5,), (64, 3)]]
        optimizer = make(weights)
        torch.set_num_threads(n_threads or 1)
        with crew_of(3) as crew:
            divided = Blocks(crew)
            for _ in range(4):
                for weight in weights:
                    weight.grad = torch.randn(weight.shape)
                if n_threads:
                    with divided:
                        optimizer.step()
                else:
                    optimizer.step()
        return [weight.detach() for weight in weights]

    expected = stepped(None)
    for n_threads in (1, 2, 3):
        for weight, plain in zip(stepped(n_threads), expected, strict=True):
            assert torch.equal(weight, plain)


# ---- estimators that are asked for whole batches ----------------------------------


class Own(nn.Module):
    """A network that only its owner knows."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(n_in, 40), nn.Linear(40, n_out)

    def forward(self, rows: Tensor) -> Tensor:
        return self.second(F.silu(self.first(rows)) + 0.1)


class Recurrent(nn.Module):
    """Reads images line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(10, 4, batch_first=True)

    def forward(self, rows: Tensor) -> Tensor:
        lines: Tensor = self.layer(rows.reshape(-1, 12, 10))[0]
        return lines[:, -1]


def holes(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    return X


SETTINGS: dict[str, Any] = {"max_epochs": 2, "batch_size": 16, "random_state": 0}
ESTIMATORS: dict[str, tuple[Callable[[], Any], Any]] = {
    "tied": (
        lambda: AutoencoderTransformer(
            4, architecture=Dense((60, 33), tied_weights=True), **SETTINGS
        ),
        ROWS,
    ),
    "l1": (lambda: AutoencoderTransformer(4, sparsity="l1", **SETTINGS), ROWS),
    "kl": (
        lambda: ConvAutoencoderTransformer(
            4, channels=(3, 4), sparsity="kl", **SETTINGS
        ),
        IMAGES,
    ),
    "top k": (lambda: AutoencoderTransformer(20, sparsity="top_k", **SETTINGS), ROWS),
    "contraction": (
        lambda: AutoencoderTransformer(4, contraction_weight=0.1, **SETTINGS),
        ROWS,
    ),
    "contraction of images": (
        lambda: ConvAutoencoderTransformer(
            4, channels=(3, 4), contraction_weight=0.1, precision="bfloat16", **SETTINGS
        ),
        IMAGES,
    ),
    "own modules": (
        lambda: AutoencoderTransformer(
            architecture=Custom(lambda: Own(120, 4), lambda: Own(4, 120)),
            early_stopping=True,
            **SETTINGS,
        ),
        ROWS,
    ),
    "recurrent": (
        lambda: AutoencoderTransformer(
            architecture=Custom(Recurrent, lambda: nn.Linear(4, 120)), **SETTINGS
        ),
        ROWS,
    ),
    "own noise": (
        lambda: DenoisingAutoencoder(
            code_size=4,
            noise=lambda samples: samples + 0.1 * torch.randn_like(samples),
            **SETTINGS,
        ),
        IMAGES,
    ),
    "optimizer": (
        lambda: AutoencoderTransformer(
            4, optimizer="rmsprop", sparsity="l1", **SETTINGS
        ),
        ROWS,
    ),
    "holes in rows": (lambda: AutoencoderImputer(**SETTINGS), holes(ROWS[:, :12])),
    "holes in images": (
        lambda: AutoencoderImputer(architecture=Conv((3, 4)), **SETTINGS),
        holes(IMAGES),
    ),
    "sampler": (lambda: VAESampler(4, **SETTINGS), ROWS),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    make, data = ESTIMATORS[name]
    fitted = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        fitted.append(make().fit(data))
        assert torch.get_num_threads() == n_threads
    one, *others = fitted
    for other in others:
        assert_same_weights(one, other)
        assert list(one.history_[:, "train_loss"]) == list(
            other.history_[:, "train_loss"]
        )
        if hasattr(one, "inverse_transform"):
            assert_same_answers(one, other, data)
        elif hasattr(one, "transform"):
            np.testing.assert_array_equal(one.transform(data), other.transform(data))
