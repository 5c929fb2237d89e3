"""What a fitted estimator shows of itself: text, and scikit-learn's diagram."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from helpers import OF_ROWS, ROWS, tiny_conv, tiny_dense
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skautoencoder._estimator import estimator_protocol
from skautoencoder.architectures import Dense

X = ROWS[:60]
has_tables = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"),
    reason="scikit-learn before 1.9 has no tables of fitted attributes",
)


def test_summary_has_layers_and_facts() -> None:
    fitted = tiny_dense(early_stopping=True).fit(X)
    assert fitted.summary().splitlines()[:8] == [
        "AutoencoderTransformer: samples of 64, codes of 3",
        "",
        "layer      kind    output shape  weights",
        "encoder.0  Linear  (12,)             780",
        "encoder.1  ELU     (12,)               0",
        "encoder.2  Linear  (3,)               39",
        "decoder.0  Linear  (12,)              48",
        "decoder.1  ELU     (12,)               0",
    ]
    facts = dict(line.split(": ") for line in fitted.summary().splitlines()[-6:])
    assert facts["weights"] == "1,699"
    assert facts["device"] == "cpu"
    assert facts["epochs"] == "3"
    loss = min(fitted.history_[:, "valid_loss"])
    assert facts["best validation loss"].startswith(f"{loss:.4g} (epoch ")
    with pytest.raises(NotFittedError):
        tiny_dense().summary()


@pytest.mark.parametrize("name", OF_ROWS)
def test_summary_counts_the_weights_of_every_estimator(name: str) -> None:
    fitted = clone(OF_ROWS[name]).fit(X)
    before = vars(fitted).copy()
    text = fitted.summary()
    n_weights = sum(w.numel() for w in fitted.net_.module_.parameters())
    assert f"weights: {n_weights:,}" in text
    rows = re.findall(r"^\w[\w.]* +\w+ .*? ([\d,]+)$", text, re.M)
    assert sum(int(n.replace(",", "")) for n in rows) == n_weights
    assert vars(fitted) == before
    assert not any(m._forward_hooks for m in fitted.net_.module_.modules())


def test_encoder_and_decoder_are_modules() -> None:
    fitted = tiny_dense().fit(X)
    assert fitted.encoder_ is fitted.net_.module_.encoder
    assert fitted.decoder_ is fitted.net_.module_.decoder
    rows = fitted.net_.module_.encoder_input(torch.tensor(X, dtype=torch.float32))
    codes = fitted.encoder_(rows).detach().numpy()
    assert codes == pytest.approx(fitted.transform(X), abs=1e-5)
    assert not hasattr(tiny_dense(), "encoder_")


def rows_of(html: str, kind: str) -> list[str]:
    return re.findall(rf'<tr class="{kind}">.*?aria-label="Copy (\w+) to', html, re.S)


@has_tables
def test_parameters_that_were_set_are_marked_and_nested_ones_are_not() -> None:
    estimator = tiny_dense(
        architecture=Dense((12,), dropout=0.1), optimizer__weight_decay=1e-4
    )
    html = estimator_html_repr(estimator)
    assert set(rows_of(html, "user-set")) == {
        "architecture",
        "max_epochs",
        "random_state",
        "code_size",
        "architecture__dropout",
        "architecture__hidden_layer_sizes",
        "optimizer__weight_decay",
    }
    assert "architecture__activation" in rows_of(html, "default")


@has_tables
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_diagram_has_the_network(in_pipeline: bool) -> None:
    estimator: Any = tiny_conv()
    if in_pipeline:
        estimator = make_pipeline(StandardScaler(), estimator)
    unfitted = estimator_html_repr(estimator)
    assert "<summary>Network</summary>" not in unfitted
    html = estimator_html_repr(estimator.fit(X))
    assert html.count("<summary>Network</summary>") == 1
    for text in ("Conv2d", "(3, 4, 4)", "best training loss", "device", "epochs"):
        assert text in html
    assert "<td>skorch net</td>" in html
    assert "<td>3 epochs</td>" in html
    assert "class &#x27;skaut" not in html


def test_the_diagram_links_to_our_documentation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimator_protocol, "documentation_url", lambda: "")
    assert tiny_dense()._get_doc_link() == ""
    monkeypatch.setattr(
        estimator_protocol, "documentation_url", lambda: "https://docs.example"
    )
    url = "https://docs.example/generated/skautoencoder.AutoencoderTransformer.html"
    assert tiny_dense()._get_doc_link() == url
    assert f'href="{url}"' in estimator_html_repr(tiny_dense())
