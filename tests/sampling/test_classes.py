"""What is known of classes, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skautoencoder.sampling.classes import Classes


def test_numbers_and_shares() -> None:
    classes, numbers = Classes.of(["b", "a", "b", "b"], 4, "Sampler")
    assert classes.names.tolist() == ["a", "b"]
    assert numbers.tolist() == [1, 0, 1, 1]
    assert classes.shares.tolist() == [0.25, 0.75]
    assert classes.number("a", 3).tolist() == [0, 0, 0]
    assert classes.number(["b", "a"], 2).tolist() == [1, 0]
    np.testing.assert_array_equal(classes.one_hot(numbers), np.eye(2)[[1, 0, 1, 1]])


def test_draws_are_as_frequent_as_in_training() -> None:
    classes, _ = Classes.of([0, 0, 0, 1], 4, "Sampler")
    drawn = classes.draw(20_000, np.random.RandomState(0))
    assert np.mean(drawn == 1) == pytest.approx(0.25, abs=0.02)


def test_no_classes_given() -> None:
    with pytest.raises(ValueError, match="Sampler requires y .* conditional=False"):
        Classes.of(None, 3, "Sampler")


def test_another_number_of_classes_than_rows() -> None:
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[5, 3\]"):
        Classes.of([0, 1, 0], 5, "Sampler")


def test_numbers_that_are_no_classes() -> None:
    with pytest.raises(ValueError, match="Unknown label type"):
        Classes.of([0.5, 1.7, 2.2], 3, "Sampler")


@pytest.mark.parametrize("y", [["a", 1, 2.5], pd.cut(range(9), 3)], ids=str)
def test_labels_that_have_no_order(y: object) -> None:
    with pytest.raises(TypeError, match=r"y has labels of .* y\.astype\(str\)"):
        Classes.of(y, len(y), "Sampler")


@pytest.mark.parametrize("dtype", ["datetime64[D]", "datetime64[ns]", "timedelta64[s]"])
def test_dates_are_classes(dtype: str) -> None:
    y = pd.Series(np.array([5, 3, 5]).astype(dtype))
    classes, numbers = Classes.of(y, 3, "Sampler")
    assert (classes.names[numbers] == y).all()


@pytest.mark.parametrize("y", ["c", ["a", "c"], 0, [1.0, 2.0]])
def test_unknown_class(y: object) -> None:
    classes, _ = Classes.of(["a", "b"], 2, "Sampler")
    with pytest.raises(ValueError, match="class that fit did not see.*'a', 'b'"):
        classes.number(y, 2)


def test_other_classes_than_before() -> None:
    before, _ = Classes.of(["a", "b"], 2, "Sampler")
    Classes.of(["b", "a"], 2, "Sampler")[0].require(before)
    with pytest.raises(ValueError, match="warm_start=True .*'a', 'b'.*'a', 'c'"):
        Classes.of(["a", "c"], 2, "Sampler")[0].require(before)
