"""Columns of a table that are identifiers, or hold objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skautoencoder.sampling.table_columns import TableColumns

# ---- identifiers -----------------------------------------------------------------


def names_of(n_levels, n_rows):
    names = [f"name {i % n_levels}" for i in range(n_rows)]
    return pd.DataFrame({"name": names, "number": np.arange(n_rows) / 7})


@pytest.mark.parametrize(
    ("n_levels", "n_rows"), [(51, 100), (900, 900), (1001, 1200), (1001, 9000)]
)
def test_columns_that_look_like_identifiers_are_warned_of(n_levels, n_rows):
    table = names_of(n_levels, n_rows)
    with pytest.warns(UserWarning, match=rf"'name' \({n_levels}\).*identifiers.*Drop"):
        TableColumns.fit(table)


@pytest.mark.parametrize(
    ("n_levels", "n_rows"), [(50, 50), (50, 100), (500, 1000), (1000, 9000)]
)
def test_columns_of_many_rows_a_level_are_not(n_levels, n_rows):
    TableColumns.fit(names_of(n_levels, n_rows))


@pytest.mark.parametrize(("n_levels", "n_rows"), [(1001, 1001), (12_000, 12_000)])
def test_columns_with_a_level_for_each_row_are_refused(n_levels, n_rows):
    table = names_of(n_levels, n_rows)
    with pytest.raises(
        ValueError, match=rf"'name' of X has {n_levels} levels.*Drop the col"
    ):
        TableColumns.fit(table)
    with pytest.raises(ValueError, match="'name' of X has"):
        TableColumns.fit(table.astype({"name": "category"}))
    with pytest.raises(ValueError, match="'number' of X has"):
        TableColumns.fit(table[["number"]], ["number"])


def test_one_warning_names_all_identifiers():
    table = names_of(60, 60).assign(other=[f"{i}" for i in range(60)])
    with pytest.warns(UserWarning, match="'name'.*'other'") as caught:
        TableColumns.fit(table)
    assert len(caught) == 1


# ---- objects ---------------------------------------------------------------------


@pytest.mark.parametrize("cell", [[1], {"a": 1}, {1}, np.arange(2)], ids=str)
def test_cells_that_hold_several_values_are_refused(cell):
    table = pd.DataFrame({"parts": pd.Series([cell] * 5, dtype=object)})
    with pytest.raises(TypeError, match=f"'parts' .*hold a {type(cell).__name__}"):
        TableColumns.fit(table)


@pytest.mark.parametrize("late", ["much", True, None, [3]])
def test_objects_that_are_no_numbers_after_fit(late):
    table = pd.DataFrame({"n": pd.Series([1, 2, 3, 4.5], dtype=object)})
    columns = TableColumns.fit(table)
    assert columns.kinds == {"n": "continuous"}
    table["n"] = pd.Series([1, late, 3, 4], dtype=object)
    with pytest.raises(ValueError, match="'n' of X (had numbers in fit|has missing)"):
        columns.to_network(table)


def test_columns_of_other_types_after_fit_name_the_cure():
    columns = TableColumns.fit(pd.DataFrame({"n": [1, 2, 3, 4.5]}))
    with pytest.raises(ValueError, match="'n' of X had numbers .*pandas.to_numeric"):
        columns.to_network(pd.DataFrame({"n": ["1", "2"]}))
    with pytest.raises(ValueError, match="'n' of X has missing values"):
        columns.to_network(pd.DataFrame({"n": [None, None]}))


def test_integers_beyond_all_floats_are_refused():
    table = pd.DataFrame({"n": pd.Series([1, 2, 10**400], dtype=object)})
    with pytest.raises(ValueError, match="'n' of X has values so large"):
        TableColumns.fit(table)


def test_floats_whose_differences_overflow_are_refused():
    with pytest.raises(ValueError, match="'n' of X has values so large"):
        TableColumns.fit(pd.DataFrame({"n": [-1.7e308, 0.0, 1.7e308]}))
