"""How likely the columns of a table are, against scipy and closed forms."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_ndtr, log_softmax

from skautoencoder.objectives import ColumnBlock, ColumnsLikelihood
from skautoencoder.objectives.table_likelihood import log_interval_probability

SEEDS = range(3)
# Three levels, a number, two levels, a number that may be an atom, one of atoms only.
ATOM = (-0.375, 0.25, 0.0)
STEPS = ((-math.inf, -1.0, -1.5), (-1.0, 0.5, -0.25), (0.5, math.inf, 1.125))
BLOCKS = [
    ColumnBlock("levels", 0, 3),
    ColumnBlock("number", 3, 4),
    ColumnBlock("levels", 4, 6),
    ColumnBlock("number", 6, 7, (ATOM,)),
    ColumnBlock("number", 7, 8, STEPS),
]


def make_likelihood(seed: int = 0, dtype=torch.float64) -> ColumnsLikelihood:
    likelihood = ColumnsLikelihood(BLOCKS)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        likelihood.raw_deviation.copy_(torch.randn(3, generator=generator))
    return likelihood.to(dtype)


def draw(seed: int, n_rows: int = 50, dtype=torch.float64):
    """Return outputs of a decoder, and rows that fit the blocks."""
    random = np.random.RandomState(seed)
    outputs = random.normal(scale=1.5, size=(n_rows, 8))
    rows = np.zeros((n_rows, 8))
    rows[np.arange(n_rows), random.randint(3, size=n_rows)] = 1
    rows[np.arange(n_rows), 4 + random.randint(2, size=n_rows)] = 1
    rows[:, 3] = random.normal(size=n_rows)
    rows[:, 6] = np.where(random.rand(n_rows) < 0.5, ATOM[2], 1 + random.rand(n_rows))
    rows[:, 7] = np.array([step[2] for step in STEPS])[random.randint(3, size=n_rows)]
    return torch.from_numpy(outputs).to(dtype), torch.from_numpy(rows).to(dtype)


def log_share(low, high):
    """Return the logarithm of a normal distribution's share of intervals."""
    # On the side of the line on which the logarithms are exact.
    flip = low + high > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    return log_ndtr(high) + np.log(-np.expm1(log_ndtr(low) - log_ndtr(high)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_likelihood_is_the_sum_over_the_columns(seed, dtype):
    likelihood = make_likelihood(seed, dtype)
    outputs, rows = draw(seed, dtype=dtype)
    found = likelihood.log_likelihood(outputs, rows).detach().numpy()
    o, r = outputs.double().numpy(), rows.double().numpy()
    deviation = likelihood.deviation.detach().double().numpy()
    wanted = (log_softmax(o[:, :3], axis=1) * r[:, :3]).sum(axis=1)
    wanted += (log_softmax(o[:, 4:6], axis=1) * r[:, 4:6]).sum(axis=1)
    wanted += stats.norm.logpdf(r[:, 3], o[:, 3], deviation[0])

    def share(low, high, column):
        mean = o[:, (3, 6, 7)[column]]
        return log_share(
            (low - mean) / deviation[column], (high - mean) / deviation[column]
        )

    density = stats.norm.logpdf(r[:, 6], o[:, 6], deviation[1])
    wanted += np.where(r[:, 6] == ATOM[2], share(*ATOM[:2], 1), density)
    each = np.array([share(low, high, 2) for low, high, _ in STEPS])
    place = np.searchsorted([-1.0, 0.5], r[:, 7])
    wanted += each[place, np.arange(len(r))]
    rtol = 1e-4 if dtype is torch.float32 else 1e-6
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("seed", SEEDS)
def test_probabilities_of_all_rows_add_up_to_one(seed):
    likelihood = make_likelihood(seed)
    # Wide enough for the grid below.
    with torch.no_grad():
        likelihood.raw_deviation.clamp_(-1.0, 1.0)
    output = draw(seed)[0][:1]
    line = torch.linspace(-15, 15, 3001, dtype=torch.float64)
    step = line[1] - line[0]
    total = 0.0
    for one in range(3):
        for two in range(2):
            for steps in STEPS:
                rows = torch.zeros(len(line), 8, dtype=torch.float64)
                rows[:, one] = rows[:, 4 + two] = 1
                rows[:, 7] = steps[2]
                rows[:, 3] = line
                at = torch.zeros_like(rows[:1]) + rows[:1]
                # The two numbers are independent: their integrals multiply.
                rows[:, 6] = ATOM[2]
                first = likelihood.log_likelihood(output, rows).exp()
                first = first.sum() * step
                at[:, 3] = output[:, 3]
                at[:, 6] = ATOM[2]
                base = likelihood.log_likelihood(output, at).exp()
                outside = line[(line < ATOM[0]) | (line > ATOM[1])]
                second = at.repeat(len(outside), 1)
                second[:, 6] = outside
                second = likelihood.log_likelihood(output, second).exp().sum() * step
                total += float((first * (1 + second / base)).detach())
    assert total == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_samples_have_the_probabilities(seed):
    likelihood = make_likelihood(seed)
    output = draw(seed)[0][:1]
    n_rows = 40_000
    rows = likelihood.sample(
        output.repeat(n_rows, 1), torch.Generator().manual_seed(seed)
    ).numpy()
    o = output[0].numpy()
    deviation = likelihood.deviation.detach().numpy()
    np.testing.assert_array_equal(rows[:, :3].sum(axis=1), 1)
    np.testing.assert_array_equal(rows[:, 4:6].sum(axis=1), 1)
    margin = 4 * 0.5 / math.sqrt(n_rows)
    for place in (slice(0, 3), slice(4, 6)):
        wanted = np.exp(log_softmax(o[place]))
        np.testing.assert_allclose(rows[:, place].mean(axis=0), wanted, atol=margin)
    normal = stats.norm(o[3], deviation[0])
    assert stats.kstest(rows[:, 3], normal.cdf).pvalue > 1e-4
    normal = stats.norm(o[6], deviation[1])
    is_atom = rows[:, 6] == ATOM[2]
    share = normal.cdf(ATOM[1]) - normal.cdf(ATOM[0])
    assert is_atom.mean() == pytest.approx(share, abs=margin)
    others = rows[~is_atom, 6]
    assert not ((others > ATOM[0]) & (others < ATOM[1])).any()
    normal = stats.norm(o[7], deviation[2])
    for low, high, shown in STEPS:
        share = normal.cdf(high) - normal.cdf(low)
        assert np.mean(rows[:, 7] == shown) == pytest.approx(share, abs=margin)


def test_the_same_generator_draws_the_same_rows():
    likelihood, (outputs, _) = make_likelihood(), draw(0)
    before = torch.get_rng_state()
    one = likelihood.sample(outputs, torch.Generator().manual_seed(3))
    two = likelihood.sample(outputs, torch.Generator().manual_seed(3))
    other = likelihood.sample(outputs, torch.Generator().manual_seed(4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_mean_is_the_most_probable_level_and_the_mean_number():
    likelihood = make_likelihood()
    outputs = torch.tensor(
        [[0.1, 2.0, -1.0, 0.7, 5.0, 4.0, 0.24, 0.49], [3, 1, 2, -9, 0, 1, 2, 0.6]]
    ).double()
    wanted = torch.tensor(
        [[0, 1, 0, 0.7, 1, 0, 0.0, -0.25], [1, 0, 0, -9, 0, 1, 2.0, 1.125]]
    ).double()
    torch.testing.assert_close(likelihood.mean(outputs), wanted)


@pytest.mark.parametrize("scale", [1e-30, 1e3, 1e6, 1e20, 3e38])
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_nan_for_any_finite_output(scale, seed):
    likelihood = make_likelihood(seed, torch.float32)
    with torch.no_grad():
        likelihood.raw_deviation[seed] = -1e4
    outputs, rows = draw(seed, dtype=torch.float32)
    outputs = (outputs.clamp(-1, 1) * scale).requires_grad_()
    found = likelihood.log_likelihood(outputs, rows)
    assert found.isfinite().all()
    found.mean().backward()
    assert outputs.grad.isfinite().all()
    assert likelihood.raw_deviation.grad.isfinite().all()
    assert likelihood.mean(outputs).isfinite().all()
    assert likelihood.sample(outputs, torch.Generator()).isfinite().all()


def test_deviation_stays_above_its_bound():
    likelihood = ColumnsLikelihood(BLOCKS, least_deviation=0.05)
    torch.testing.assert_close(likelihood.deviation, torch.full((3,), 0.5))
    with torch.no_grad():
        likelihood.raw_deviation.fill_(-50.0)
    assert (likelihood.deviation >= 0.05).all()
    assert (likelihood.deviation < 0.0501).all()


def test_rows_without_atoms_have_the_same_bits_beside_rows_that_have_some():
    """Only where a row has an atom are probabilities of intervals computed."""
    likelihood = ColumnsLikelihood(BLOCKS[:4])
    outputs, rows = (t[:, :7].float() for t in draw(0))
    without = rows[:, 6] != ATOM[2]
    with torch.no_grad():
        every = likelihood.log_likelihood(outputs, rows)
        alone = likelihood.log_likelihood(outputs[without], rows[without])
    assert 0 < without.sum() < len(rows)
    assert torch.equal(alone, every[without])
    training = likelihood.log_likelihood(outputs[without], rows[without])
    assert torch.equal(training, alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_interval_probability_against_scipy(dtype):
    random = np.random.RandomState(0)
    low = np.r_[random.normal(scale=4, size=500), -30.0, 20.0, -1e7, -3.0, -9.99]
    width = np.r_[random.exponential(size=500), 0.5, 0.5, 1e7 + 1, 1e7, 1.0]
    given = torch.tensor(np.c_[low, low + width], dtype=dtype).T
    low, high = given.double().numpy()
    wanted = log_share(low, high)
    found = log_interval_probability(given[0], given[1]).double().numpy()
    tolerance = 2e-3 if dtype is torch.float32 else 1e-6
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_gradient_of_interval_probability():
    low = torch.tensor([-12.0, -2.0, 0.5, 8.0, -40.0], dtype=torch.float64)
    ends = (low.requires_grad_(), (low.detach() + 1.3).requires_grad_())
    assert torch.autograd.gradcheck(log_interval_probability, ends, rtol=1e-4)


@pytest.mark.parametrize(
    "blocks", [BLOCKS[:1], BLOCKS[1:2], BLOCKS[3:4], BLOCKS[:3:2], BLOCKS[1::3]]
)
def test_tables_of_one_kind(blocks):
    moved, start = [], 0
    for block in blocks:
        stop = start + block.stop - block.start
        moved.append(ColumnBlock(block.kind, start, stop, block.atoms))
        start = stop
    likelihood = ColumnsLikelihood(moved)
    outputs = torch.randn(6, start, generator=torch.Generator().manual_seed(0))
    rows = likelihood.sample(outputs, torch.Generator())
    assert rows.shape == (6, likelihood.n_outputs)
    assert likelihood.log_likelihood(outputs, rows).isfinite().all()


def test_likelihood_can_be_copied():
    likelihood = make_likelihood()
    outputs, rows = draw(0)
    wanted = likelihood.log_likelihood(outputs, rows)
    for other in (copy.deepcopy(likelihood), pickle.loads(pickle.dumps(likelihood))):
        assert torch.equal(other.log_likelihood(outputs, rows), wanted)
    # What is learnt is stored, what the columns are is not.
    assert list(likelihood.state_dict()) == ["raw_deviation"]
