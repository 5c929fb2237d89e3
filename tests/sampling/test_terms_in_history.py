"""`history_` of a sampler holds the two terms of its loss apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ROWS

from skautoencoder import VAESampler
from skautoencoder.architectures import Dense


def fitted(**params: object) -> VAESampler:
    defaults = {"architecture": Dense((6,)), "max_epochs": 3, "random_state": 0}
    return VAESampler(2, **{**defaults, **params}).fit(ROWS[:100])


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_terms_add_up_to_the_loss(beta: float) -> None:
    sampler = fitted(beta=beta, kl_warm_up=0.0, early_stopping=True)
    for row in sampler.history_:
        for part in ("train", "valid"):
            total = row[f"{part}_reconstruction"] + beta * row[f"{part}_kl"]
            np.testing.assert_allclose(total, row[f"{part}_loss"], rtol=1e-5)
            assert row[f"{part}_kl"] >= 0


def test_terms_are_kept_during_the_warm_up() -> None:
    history = fitted(kl_warm_up=1.0).history_
    first = history[0]
    assert first["train_kl"] > 0
    assert first["train_loss"] < first["train_reconstruction"] + first["train_kl"]


def test_terms_do_not_depend_on_shards_or_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = fitted(max_epochs=1, likelihood="gaussian").history_[0]
    monkeypatch.setattr("skautoencoder.training.net.is_large", lambda work: True)
    monkeypatch.setattr("skautoencoder.training.net.n_shards_for", lambda *_: 4)
    seen = []
    before = torch.get_num_threads()
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        sampler = fitted(max_epochs=1, likelihood="gaussian")
        assert sampler.net_.n_shards_ == 4
        seen.append({k: v for k, v in sampler.history_[0].items() if k != "dur"})
    torch.set_num_threads(before)
    assert seen[0] == seen[1]
    np.testing.assert_allclose(seen[0]["train_kl"], whole["train_kl"], rtol=0.5)
