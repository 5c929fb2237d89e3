from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skautoencoder import ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Conv1d, Dense, Recurrent
from skautoencoder.architectures._calls import call
from skautoencoder.training.batch_invariance import BatchInvariant
from skautoencoder.training.fast.direct_layers import direct_layers

IMAGES = torch.rand(5, 2, 9, 7, generator=torch.Generator().manual_seed(0))


def answers(part: nn.Module, rows: Tensor, *, direct: bool) -> Tensor:
    with (
        torch.inference_mode(),
        BatchInvariant(16) as mode,
        direct_layers(mode) if direct else nullcontext(),
    ):
        return call(part, rows)


def normalized() -> list[nn.Module]:
    """Return layers of kinds that are called directly, the activation twice."""
    activation = nn.SiLU()
    return [
        *(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), activation),
        *(nn.Conv2d(4, 3, 3, padding="same"), activation, nn.MaxPool2d(2)),
        *(nn.ConvTranspose2d(3, 2, 4, stride=2, bias=False), nn.Flatten(), nn.ReLU()),
        *(nn.LazyLinear(6), nn.BatchNorm1d(6), nn.Dropout(), nn.Tanh()),
        nn.Linear(6, 3),
    ]


MODULES: dict[str, list[nn.Module]] = {
    "known": normalized(),
    "another padding": [nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")],
    "statistics of the batch": [nn.BatchNorm2d(2, track_running_stats=False)],
    "unknown": [nn.Softshrink(), nn.Conv2d(2, 3, 3), nn.ELU(0.5), nn.GroupNorm(3, 3)],
    "inner": [nn.Sequential(nn.Conv2d(2, 3, 3)), nn.Sequential(), nn.Identity()],
}


@pytest.mark.parametrize("name", MODULES)
def test_layers_answer_as_if_torch_called_them(name: str) -> None:
    network = nn.Sequential(*MODULES[name])
    network(IMAGES)  # sets statistics
    network.eval()
    expected = answers(network, IMAGES, direct=False)
    assert torch.equal(answers(network, IMAGES, direct=True), expected)
    torch.testing.assert_close(expected, network(IMAGES).detach())


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (Conv((3, 5), residual=True, skip_connections=True), (9, 7)),
        (Conv((3, 5), residual=True, hidden_layer_sizes=(8,)), (2, 9, 7)),
        (Conv((3, 5), downsampling="max_pool", upsampling="nearest"), (8, 8)),
        (Conv1d((3,)), (12, 2)),
        (Recurrent(hidden_size=3), (6, 2)),
        (Dense((7,), batch_norm=True), (9,)),
        (Dense((7,), tied_weights=True), (9,)),
    ],
    ids=str,
)
def test_networks_answer_as_if_torch_called_their_layers(
    architecture: Any, shape: tuple[int, ...]
) -> None:
    code_size = None if getattr(architecture, "skip_connections", False) else 3
    network = architecture.build(shape, code_size).eval()
    rows = torch.rand(5, int(np.prod(shape)))
    expected = answers(network, rows, direct=False)
    assert torch.equal(answers(network, rows, direct=True), expected)
    for part in (network.encode, lambda rows: network.decode(network.encode(rows))):
        with torch.inference_mode(), BatchInvariant(16) as mode:
            expected = part(rows)
            with direct_layers(mode):
                assert torch.equal(part(rows), expected)


def test_torch_does_not_call_known_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(*MODULES["known"], nn.Softshrink()).eval()
    called = []
    by_torch = nn.Module.__call__

    def record(module: nn.Module, *args: Any) -> Any:
        called.append(type(module))
        return by_torch(module, *args)

    monkeypatch.setattr(nn.Module, "__call__", record)
    answers(network, IMAGES, direct=True)
    assert called == [nn.Softshrink]


def test_hooks_are_called() -> None:
    X = np.random.RandomState(0).uniform(size=(20, 8, 8))
    fitted = ConvAutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    expected = fitted.transform(X)
    seen = []
    layer = next(m for m in fitted.encoder_.modules() if type(m) is nn.Conv2d)
    layer.register_forward_hook(lambda *args: seen.append(args[0]))
    assert np.array_equal(fitted.transform(X), expected)
    assert seen == [layer]
