"""The objective of holes: only what is asked counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skautoencoder.architectures import Dense
from skautoencoder.objectives import LOSSES, MaskedObjective, draw_mask


def small_network(n_features: int = 6, output_activation: str = "identity"):
    torch.manual_seed(0)
    return Dense((8,)).build((2 * n_features,), 4, output_activation=output_activation)


def batch(seed: int = 0, n_features: int = 6):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(20, n_features, generator=generator)
    flags = (torch.rand(20, n_features, generator=generator) < 0.4).float()
    return torch.cat([values * (1 - flags), flags], dim=1), values, flags.bool()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output_activation", ["identity", "sigmoid"])
@pytest.mark.parametrize("seed", range(3))
def test_loss_is_the_mean_over_what_is_asked(loss, output_activation, seed):
    network = small_network(output_activation=output_activation)
    rows, values, missing = batch(seed)
    target = torch.where(missing, torch.nan, values)
    found = MaskedObjective(loss)(network, rows, target).detach()
    outputs = network(rows)[:, :6]
    if loss == "bce":
        outputs = outputs.clamp(1e-6, 1 - 1e-6)
    each = LOSSES[loss](outputs, values, reduction="none").detach().numpy()
    wanted = each[~missing.numpy()].mean()
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("output_activation", ["identity", "sigmoid"])
def test_what_is_not_asked_gives_no_gradient(output_activation):
    network = small_network(output_activation=output_activation)
    rows, values, _ = batch()
    target = values.clone()
    target[:, 2] = torch.nan
    MaskedObjective()(network, rows, target).backward()
    gradient = network.decoder[-1].weight.grad
    # Of the answer's numbers 0 to 5 are values, and 6 to 11 stand for the flags.
    asked = torch.tensor([0, 1, 3, 4, 5])
    assert gradient[asked].any(dim=1).all()
    assert not gradient[2].any()
    assert not gradient[6:].any()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_nothing_asked_costs_nothing():
    network = small_network()
    rows, values, _ = batch()
    loss = MaskedObjective()(network, rows, torch.full_like(values, torch.nan))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(not p.grad.any() for p in network.parameters())


class Recording(torch.nn.Module):
    """Answers with zeros and keeps what it was shown."""

    output_activation = "identity"

    def encode(self, rows):
        self.rows = rows
        return rows

    def decode_logits(self, codes):
        return torch.zeros_like(codes)


def test_further_holes_are_shown_as_background_and_asked():
    network = Recording()
    values = 2 + torch.rand(8, 36, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([values, torch.zeros_like(values)], dim=1)
    background = torch.arange(36.0)
    objective = MaskedObjective(hole_shape=(1, 6, 6), background=background)
    torch.manual_seed(0)
    loss = objective(network, *objective.prepare(network, rows, values))
    shown, flags = network.rows.chunk(2, dim=1)
    holes = flags > 0
    assert holes.any(dim=1).all()
    assert not holes.all(dim=1).any()
    assert torch.equal(shown[~holes], values[~holes])
    assert torch.equal(shown[holes], background.expand(8, -1)[holes])
    assert float(loss.detach()) == pytest.approx(float(values[holes].square().mean()))


def test_background_is_black_unless_given():
    network = Recording()
    values = torch.ones(4, 16)
    rows = torch.cat([values, torch.zeros_like(values)], dim=1)
    objective = MaskedObjective(hole_shape=(1, 4, 4))
    shown, flags = objective.prepare(network, rows, values)[0].chunk(2, dim=1)
    assert flags.any()
    assert torch.equal(shown, 1 - flags)


@pytest.mark.parametrize("shape", [(1, 12, 8), (3, 5, 5), (1, 1, 7), (2, 2, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_images_without_holes_get_one_rectangle(shape, seed):
    torch.manual_seed(seed)
    n_channels, height, width = shape
    holes = draw_mask(torch.zeros(200, n_channels * height * width).bool(), shape)
    images = holes.numpy().reshape(200, *shape)
    # All channels of a pixel are missing together.
    assert (images == images[:, :1]).all()
    for image in images[:, 0]:
        rows, columns = image.any(axis=1), image.any(axis=0)
        assert rows.any()
        # A rectangle is the product of its two sides.
        assert (image == np.outer(rows, columns)).all()
        assert np.abs(np.diff(rows.astype(int))).sum() <= 2
        assert rows.sum() <= max(round(0.6 * height), 1)
        assert columns.sum() >= max(width // 4, 1)
    # Every pixel has its turn.
    assert images.any(axis=0).all()


def test_holes_are_borrowed_from_other_images():
    missing = torch.zeros(50, 16).bool()
    missing[torch.arange(50), torch.arange(50) % 16] = True
    torch.manual_seed(0)
    holes = draw_mask(missing, (1, 4, 4))
    assert torch.equal(holes.sum(dim=0), missing.sum(dim=0))
    assert not torch.equal(holes, missing)


def test_pixels_that_all_images_lack_are_not_lent():
    missing = torch.zeros(30, 16).bool()
    missing[:, 3] = True
    torch.manual_seed(0)
    holes = draw_mask(missing, (1, 4, 4))
    assert (holes & ~missing).any(dim=1).float().mean() > 0.8
    # Nor do they keep real holes from being lent.
    missing[4, 8:10] = True
    assert torch.equal(draw_mask(missing, (1, 4, 4)), missing[4].expand(30, -1))


def test_images_are_never_emptied():
    missing = torch.zeros(30, 16).bool()
    missing[0] = True
    missing[1:10, :8] = True
    missing[10:20, 8:] = True
    for seed in range(5):
        torch.manual_seed(seed)
        holes = draw_mask(missing, (1, 4, 4))
        assert not holes[0].all(), "a blank image lends nothing"
        assert not (holes | missing)[20:].all(dim=1).any()
        # Of a half that is left, at most a rectangle goes.
        assert (holes | missing)[1:20].all(dim=1).float().mean() < 0.2


def test_a_generator_makes_them_the_same():
    missing = torch.zeros(30, 16).bool()
    for some in (missing, torch.eye(16).bool()):
        one, other = (
            draw_mask(some, (1, 4, 4), torch.Generator().manual_seed(0))
            for _ in range(2)
        )
        assert torch.equal(one, other)


@pytest.mark.parametrize("n_lenders", [1, 3, 7])
def test_a_few_images_with_holes_lend_them_to_all(n_lenders):
    missing = torch.zeros(42, 16).bool()
    for i in range(n_lenders):
        missing[5 * i, 2 * i : 2 * i + 3] = True
    torch.manual_seed(0)
    holes = draw_mask(missing, (1, 4, 4))
    lent = {tuple(row.tolist()) for row in missing if row.any()}
    found = [tuple(row.tolist()) for row in holes]
    assert set(found) == lent
    # To equally many each.
    assert {found.count(hole) for hole in lent} == {42 // n_lenders}
