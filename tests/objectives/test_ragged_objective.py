"""The objective for sequences of different lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ragged_rows

from skautoencoder.architectures import Conv1d
from skautoencoder.objectives import L1, Corruption, RaggedObjective
from skautoencoder.training.shards import Shards

ROWS = torch.from_numpy(ragged_rows([6, 2, 3, 6, 1, 4], 6, 2)).float().sigmoid()
PRESENT = ~ROWS.isnan()


def network(activation: str = "identity") -> torch.nn.Module:
    torch.manual_seed(0)
    made = Conv1d((3,)).build((6, 2), 3, ragged=True, output_activation=activation)
    return made.eval()


@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_loss_by_the_formula(loss: str, activation: str) -> None:
    made = network(activation)
    found = RaggedObjective(loss)(made, ROWS, ROWS)
    difference = (made(ROWS) - ROWS)[PRESENT]
    expected = difference.square() if loss == "mse" else difference.abs()
    torch.testing.assert_close(found, expected.mean())
    answers = RaggedObjective(loss).loss_of_answers(made, ROWS, ROWS)
    torch.testing.assert_close(answers, expected.mean())


def test_cross_entropy_by_the_formula() -> None:
    made = network("sigmoid")
    given, wanted = (x[PRESENT].double().detach() for x in (made(ROWS), ROWS))
    entropy = -(wanted * given.log() + (1 - wanted) * (1 - given).log())
    found = RaggedObjective("bce")(made, ROWS, ROWS)
    np.testing.assert_allclose(found.item(), entropy.mean(), rtol=1e-5)


def test_loss_of_the_mean() -> None:
    rows = ROWS.double().numpy()
    mean = np.nanmean(rows, axis=0)
    found = RaggedObjective().loss_of_mean(network(), ROWS, ROWS)
    np.testing.assert_allclose(found, np.nanmean((rows - mean) ** 2), rtol=1e-5)


def test_penalties_do_not_see_the_length() -> None:
    made = network()
    plain = RaggedObjective()(made, ROWS, ROWS)
    sparse = RaggedObjective(penalties=[L1(weight=1.0)])(made, ROWS, ROWS)
    learnt = made.encode(ROWS)[:, :-1]
    torch.testing.assert_close(sparse - plain, learnt.abs().sum(dim=1).mean())


def test_shards_are_weighted_by_what_is_in_them() -> None:
    made, objective = network(), RaggedObjective()
    assert made.can_shard()
    assert objective.weigh(ROWS) == PRESENT.sum()
    whole = objective(made, ROWS, ROWS)
    whole.backward()
    gradients = [weight.grad.clone() for weight in made.parameters()]
    loss = Shards(3, map).learn(
        lambda batch: objective(made, *batch), made, (ROWS, ROWS), objective.weigh
    )
    torch.testing.assert_close(loss, whole.detach())
    for weight, gradient in zip(made.parameters(), gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
def test_noise_leaves_the_ends(noise: str) -> None:
    noisy = Corruption(noise, 0.5, clip=True, ragged=True)(ROWS)
    assert torch.equal(noisy.isnan(), ROWS.isnan())
    assert not torch.equal(noisy[PRESENT], ROWS[PRESENT])


def test_noise_of_the_user_s_own() -> None:
    def double(samples: torch.Tensor) -> torch.Tensor:
        assert samples.shape == (6, 6, 2)
        return 2 * samples

    noisy = Corruption(double, 0, sample_shape=(6, 2), ragged=True)(ROWS)
    torch.testing.assert_close(noisy, 2 * ROWS, equal_nan=True)
    wrong = Corruption(lambda x: x / 0, 0, ragged=True)
    with pytest.raises(ValueError, match="noise returned samples with NaN"):
        wrong(ROWS)
