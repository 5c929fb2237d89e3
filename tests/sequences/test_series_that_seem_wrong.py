"""Series that are read as they are given, but may be meant in another way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import noise

from skautoencoder import SeriesOutlierDetector


def detector() -> SeriesOutlierDetector:
    return SeriesOutlierDetector(window=20, max_epochs=1, random_state=0)


def wave(n_steps: int = 600) -> np.ndarray:
    return np.sin(np.arange(n_steps) * np.pi / 10) + 0.1 * noise(n_steps, 1)[:, 0]


@pytest.mark.parametrize("column", [np.arange(600.0), -np.arange(600) // 2])
def test_a_channel_that_counts_the_steps(column: np.ndarray) -> None:
    frame = pd.DataFrame({"value": wave(), "row": column, "on": column > 100})
    message = r"Channels \['row'\] of X go one way only.*Leave them out"
    with pytest.warns(UserWarning, match=message) as found:
        detector().fit(frame)
    assert len(found) == 1


def test_all_channels_go_one_way() -> None:
    count = np.arange(100.0)
    with pytest.warns(UserWarning, match=r"^X goes .* Pass its differences") as of_one:
        detector().fit(count)
    with pytest.warns(UserWarning, match=r"8, 9\] and 20 more of X go") as of_many:
        detector().fit(np.repeat(count[:, np.newaxis], 30, axis=1))
    assert len(of_one) == len(of_many) == 1


def test_rows_that_are_series_of_their_own() -> None:
    collection = np.sin(np.arange(80) / 12 + 9 * noise(30, 1))
    message = r"30 steps of 80 channels.*pass list\(X\).*of 80 steps X\.T"
    with pytest.warns(UserWarning, match=message):
        detector().fit(collection)
    detector().fit(collection.T)


def test_a_series_along_the_second_axis() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 600\) meant as X\.T\?"):
        detector().fit(wave()[np.newaxis])
