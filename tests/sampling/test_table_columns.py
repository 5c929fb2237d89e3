"""What the columns of a table are, and the way to a network's units and back."""

from __future__ import annotations

import copy
import datetime
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from skautoencoder.sampling.column_transforms import Levels, Numbers
from skautoencoder.sampling.table_columns import TableColumns

SEEDS = range(3)


def mixed_table(n_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    random = np.random.RandomState(seed)
    colour = random.choice(["red", "green", "blue"], n_rows)
    rain = np.where(random.rand(n_rows) < 0.6, 0.0, random.gamma(2.0, 3.0, n_rows))
    return pd.DataFrame(
        {
            "income": random.lognormal(10, 1, n_rows),
            "colour": pd.Categorical(colour, categories=["red", "green", "blue", "x"]),
            "member": random.rand(n_rows) < 0.3,
            "city": random.choice(["Oslo", "Rome"], n_rows).astype(object),
            "children": random.poisson(1.5, n_rows),
            "rain": rain,
            "year": random.randint(1, 10**6, n_rows),
            "weight": random.normal(70, 10, n_rows).astype(np.float32),
            "always": 3.5,
            "visits": pd.array(random.poisson(40, n_rows), dtype="Int64"),
            "opted": pd.array(random.rand(n_rows) < 0.5, dtype="boolean"),
            "size": pd.array(random.choice(["S", "M"], n_rows), dtype="string"),
        },
        index=np.arange(n_rows) + 7,
    )


def log_jacobian(columns: TableColumns, X: object) -> np.ndarray:
    return columns.to_network_with_log_jacobian(X)[1]


# ---- what columns are ------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_are_told_apart(seed):
    assert TableColumns.fit(mixed_table(seed=seed)).kinds == {
        "income": "continuous",
        "colour": "categorical",
        "member": "categorical",
        "city": "categorical",
        "children": "discrete",
        "rain": "mixed",
        "year": "continuous",
        "weight": "continuous",
        "always": "categorical",
        "visits": "discrete",
        "opted": "categorical",
        "size": "categorical",
    }


def test_blocks_lie_side_by_side():
    columns = TableColumns.fit(mixed_table())
    starts = [block.start for block in columns.blocks]
    stops = [block.stop for block in columns.blocks]
    assert starts == [0, *stops[:-1]]
    assert stops[-1] == columns.n_shown
    widths = {c.name: c.block.stop - c.block.start for c in columns.columns}
    # The category "x" is allowed, but no row has it.
    assert widths["colour"] == 3
    assert widths["income"] == widths["children"] == widths["always"] == 1


@pytest.mark.parametrize(
    "declared",
    [["children"], [4], np.arange(12) == 4, np.array(["children"], dtype=object)],
)
def test_numbers_that_are_declared_categories_are_levels(declared):
    columns = TableColumns.fit(mixed_table(), declared)
    assert columns.kinds["children"] == "categorical"
    assert columns.kinds["visits"] == "discrete"


def test_columns_of_arrays_are_numbers_unless_declared():
    X = np.random.RandomState(0).randint(0, 4, (100, 2)).astype(float)
    assert TableColumns.fit(X).kinds == {0: "discrete", 1: "discrete"}
    assert TableColumns.fit(X, [1]).kinds == {0: "discrete", 1: "categorical"}


# ---- there and back --------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_round_trip_of_a_mixed_table(seed):
    table = mixed_table(seed=seed)
    columns = TableColumns.fit(table)
    back = columns.to_data(columns.to_network(table))
    assert list(back.columns) == list(table.columns)
    pd.testing.assert_series_equal(back.dtypes, table.dtypes)
    table = table.reset_index(drop=True)
    exact = [name for name in table if name not in ("income", "rain", "weight", "year")]
    pd.testing.assert_frame_equal(back[exact], table[exact])
    for name in ("income", "rain", "weight", "year"):
        np.testing.assert_allclose(back[name], table[name], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(back["rain"] == 0, table["rain"] == 0)


@pytest.mark.parametrize(
    "X",
    [
        load_wine().data,
        load_breast_cancer().data,
        load_diabetes().data,
        load_diabetes(scaled=False).data,
        load_diabetes(scaled=False).data.astype(np.float32),
        np.random.RandomState(0).randint(0, 3, (50, 4)),
        np.random.RandomState(0).rand(50, 4) < 0.5,
    ],
    ids=["wine", "cancer", "diabetes", "unscaled", "float32", "integers", "bools"],
)
def test_round_trip_of_arrays(X):
    columns = TableColumns.fit(X)
    back = columns.to_data(columns.to_network(X))
    assert back.dtype == X.dtype
    spread = np.ptp(X.astype(float), axis=0)
    assert (np.abs(back.astype(float) - X) <= 2e-6 * spread).all()
    for i, column in enumerate(columns.columns):
        if isinstance(column.kind, Levels) or column.kind.only_atoms:
            np.testing.assert_array_equal(back[:, i], X[:, i])


@pytest.mark.parametrize("seed", SEEDS)
def test_any_answer_of_a_network_becomes_a_row_of_the_table(seed):
    table = mixed_table(seed=seed)
    columns = TableColumns.fit(table)
    random = np.random.RandomState(seed)
    shown = random.normal(scale=3, size=(5000, columns.n_shown)).astype(np.float32)
    drawn = columns.to_data(shown)
    pd.testing.assert_series_equal(drawn.dtypes, table.dtypes)
    for name in ("colour", "member", "city", "children", "always", "visits", "size"):
        assert set(drawn[name]) <= set(table[name]), name
    assert "x" in drawn["colour"].cat.categories
    assert not set(drawn["income"]) & set(table["income"])


def test_numbers_are_rounded_like_those_of_fit():
    random = np.random.RandomState(0)
    X = np.c_[random.normal(size=300).round(2), random.normal(size=300) * 1e4 // 1]
    columns = TableColumns.fit(X)
    drawn = columns.to_data(random.normal(size=(300, 2)))
    np.testing.assert_array_equal(drawn, np.c_[drawn[:, 0].round(2), drawn[:, 1] // 1])


def test_unseen_numbers_of_a_column_of_atoms_are_taken_for_the_nearest():
    X = np.repeat([0.0, 1.0, 4.0, 9.0], 10)[:, np.newaxis]
    columns = TableColumns.fit(X)
    asked = np.array([[-5.0], [0.4], [3.0], [6.0], [7.0], [99.0]])
    back = columns.to_data(columns.to_network(asked))
    np.testing.assert_array_equal(back[:, 0], [0, 0, 4, 4, 9, 9])


def test_what_is_beyond_an_atom_at_the_end_stands_for_it():
    X = np.r_[np.zeros(50), np.linspace(1, 2, 200)][:, np.newaxis]
    columns = TableColumns.fit(X)
    assert columns.to_data(columns.to_network([[-3.0]]))[0, 0] == 0.0


# ---- what a network is shown -----------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_shown_as_normal(seed):
    random = np.random.RandomState(seed)
    X = np.c_[
        random.standard_cauchy(3000),
        random.lognormal(size=3000),
        np.r_[random.normal(-9, size=1500), random.normal(9, size=1500)],
        random.rand(3000),
    ]
    shown = TableColumns.fit(X).to_network(X)
    assert shown.dtype == np.float32
    for column in shown.T:
        assert stats.kstest(column, "norm").statistic < 0.03


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", [-1, 1])
def test_beyond_what_was_seen_numbers_go_on_like_a_normal_distribution(seed, side):
    """Also where the largest numbers happen to lie close together."""
    random = np.random.RandomState(seed)
    crowded = np.r_[random.normal(size=98), 2.5, 2.5001]
    X = side * np.c_[crowded, random.rand(100), random.normal(size=100)]
    columns = TableColumns.fit(X)
    steps = np.linspace(0.1, 3, 5)[:, np.newaxis]
    largest = X[np.abs(X + side * 9).argmax(axis=0), range(3)]
    beyond = largest + side * steps * X.std(axis=0)
    start = columns.to_network(largest[np.newaxis])
    shown = side * (columns.to_network(beyond) - start)
    assert (shown > 0).all()
    assert (shown <= steps + 1e-5).all()
    np.testing.assert_allclose(
        columns.to_data(columns.to_network(beyond)), beyond, rtol=1e-5
    )


def test_heavy_tails_go_on_as_they_are():
    X = np.random.RandomState(0).standard_cauchy((2000, 1))
    columns = TableColumns.fit(X)
    largest = X.max(axis=0, keepdims=True)
    step = columns.to_network(2 * largest) - columns.to_network(largest)
    assert 0 < step < 0.1 * largest / X.std()


@pytest.mark.parametrize("seed", SEEDS)
def test_atoms_stand_for_their_share_of_a_normal_distribution(seed):
    values = np.random.RandomState(seed).poisson(2, 500).astype(float)
    kind = TableColumns.fit(values[:, np.newaxis]).columns[0].kind
    assert isinstance(kind, Numbers)
    for value, (low, high, middle) in zip(kind.atom_values, kind.atoms, strict=True):
        share = stats.norm.cdf(high) - stats.norm.cdf(low)
        assert share == pytest.approx(np.mean(values == value), abs=1e-12)
        wanted = stats.truncnorm.mean(low, high)
        assert middle == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_log_jacobian_is_the_slope(seed):
    random = np.random.RandomState(seed)
    X = np.c_[random.lognormal(size=500), random.standard_t(2, 500)]
    columns = TableColumns.fit(X)
    asked = np.c_[random.lognormal(size=200), random.standard_t(2, 200)]
    step = 1e-6
    slopes = []
    for i in range(2):
        kind = columns.columns[i].kind
        up, down = (kind.to_network(asked[:, i] + by)[0] for by in (step, 0))
        slopes.append((up - down) / step)
    wanted = np.log(np.array(slopes)).sum(axis=0)
    found = log_jacobian(columns, asked)
    # A step may go over a knot.
    assert np.isclose(found, wanted, rtol=1e-4, atol=1e-4).mean() > 0.97


def test_levels_and_atoms_add_nothing_to_the_jacobian():
    table = mixed_table()[["colour", "member", "children", "always", "visits"]]
    np.testing.assert_array_equal(log_jacobian(TableColumns.fit(table), table), 0)
    rain = mixed_table()[["rain"]]
    found = log_jacobian(TableColumns.fit(rain), rain)
    np.testing.assert_array_equal(found[rain["rain"] == 0], 0)
    assert (found[rain["rain"] > 0] != 0).all()


@pytest.mark.parametrize("atom", [None, 0.0, 1.5, -9.0])
def test_density_of_a_normal_number_integrates_to_the_share_without_atoms(atom):
    random = np.random.RandomState(0)
    values = random.normal(size=400)
    if atom is not None:
        values[:120] = atom
    columns = TableColumns.fit(values[:, np.newaxis])
    line = np.linspace(-12, 12, 400_001)[:, np.newaxis]
    shown = columns.to_network(line)[:, 0].astype(float)
    density = stats.norm.pdf(shown) * np.exp(log_jacobian(columns, line))
    if atom is not None:
        low, high, _ = columns.blocks[0].atoms[0]
        density = density[~((low <= shown) & (shown <= high))]
    found = density.sum() * (line[1, 0] - line[0, 0])
    assert found == pytest.approx(1.0 if atom is None else 0.7, abs=2e-3)


def test_extreme_columns_stay_finite():
    random = np.random.RandomState(0)
    base = random.normal(size=100)
    X = np.c_[base * 1e-200, base * 1e150, 1e9 + base * 1e-6, np.r_[base[1:], 1e12]]
    columns = TableColumns.fit(X)
    shown = columns.to_network(X)
    assert np.isfinite(shown).all()
    assert np.isfinite(log_jacobian(columns, X)).all()
    assert np.isfinite(columns.to_data(shown)).all()


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_few_rows_are_enough(n_rows):
    table = mixed_table(n_rows)
    columns = TableColumns.fit(table)
    back = columns.to_data(columns.to_network(table))
    pd.testing.assert_series_equal(back.dtypes, table.dtypes)


# ---- how good the description is --------------------------------------------------


def area_telling_apart(real, drawn):
    rows, is_drawn = np.r_[real, drawn], np.repeat([0, 1], [len(real), len(drawn)])
    classifier = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    return cross_val_score(classifier, rows, is_drawn, cv=2, scoring="roc_auc").mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_normal_distribution_of_what_is_shown_looks_like_the_table(seed):
    random = np.random.RandomState(seed)
    X = load_diabetes(scaled=False).data[random.permutation(442)]
    train, real = X[:221], X[221:]

    def normal_rows(rows):
        covariance = np.cov(rows, rowvar=False)
        return random.multivariate_normal(rows.mean(axis=0), covariance, len(real))

    columns = TableColumns.fit(train)
    drawn = columns.to_data(normal_rows(columns.to_network(train)))
    assert area_telling_apart(real, drawn) < 0.75
    # Without the columns' description: no value is one of those that there are.
    assert area_telling_apart(real, normal_rows(train)) > 0.9


# ---- copies, batches -------------------------------------------------------------


def test_columns_can_be_copied_and_are_the_same_each_time():
    table = mixed_table()
    columns = TableColumns.fit(table)
    shown = columns.to_network(table)
    again = TableColumns.fit(table)
    for other in (pickle.loads(pickle.dumps(columns)), copy.deepcopy(columns), again):
        assert other.blocks == columns.blocks
        np.testing.assert_array_equal(other.to_network(table), shown)
        pd.testing.assert_frame_equal(other.to_data(shown), columns.to_data(shown))


def test_rows_do_not_depend_on_their_neighbours():
    table = mixed_table()
    columns = TableColumns.fit(table)
    shown = columns.to_network(table)
    order = np.random.RandomState(0).permutation(len(table))
    np.testing.assert_array_equal(columns.to_network(table.iloc[order]), shown[order])
    np.testing.assert_array_equal(columns.to_network(table.iloc[:7]), shown[:7])


# ---- what is refused -------------------------------------------------------------


def test_unseen_level_is_named():
    table = mixed_table()
    columns = TableColumns.fit(table)
    table["city"] = "Bonn"
    with pytest.raises(ValueError, match="'city'.*'Bonn'.*'Oslo', 'Rome'"):
        columns.to_network(table)


def test_unseen_declared_number_is_named():
    columns = TableColumns.fit(np.array([[1.0], [2.0], [3.0]]), [0])
    with pytest.raises(ValueError, match=r"Column 0 of X has the level 4\.0"):
        columns.to_network(np.array([[4.0]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    table = mixed_table()
    columns = TableColumns.fit(table)
    table.loc[9, "income"] = bad
    for refuse in (columns.to_network, TableColumns.fit):
        with pytest.raises(ValueError, match="Column 'income' of X has"):
            refuse(table)


@pytest.mark.parametrize("name", ["colour", "city", "visits", "opted", "size"])
def test_missing_levels_are_refused(name):
    table = mixed_table()
    columns = TableColumns.fit(table)
    table.loc[9, name] = None
    for refuse in (columns.to_network, TableColumns.fit):
        with pytest.raises(
            ValueError, match=f"Column '{name}' of X has missing values"
        ):
            refuse(table)


@pytest.mark.parametrize("dtype", [object, "category", "string"])
def test_the_cure_of_missing_levels_cures(dtype):
    X = pd.DataFrame({"c": pd.Series(["a", None, "a", "b"], dtype=dtype)})
    with pytest.raises(ValueError, match=r"X\['c'\].fillna\(X\['c'\].mode\(\)\[0\]\)"):
        TableColumns.fit(X)
    X["c"] = X["c"].fillna(X["c"].mode()[0])
    assert TableColumns.fit(X).kinds == {"c": "categorical"}


@pytest.mark.parametrize("dtype", [object, float, "category", "string", "boolean"])
def test_columns_without_values_are_to_be_dropped(dtype):
    X = pd.DataFrame({"n": [1, 2], "c": pd.Series([None, None], dtype=dtype)})
    with pytest.raises(ValueError, match=r"X\.drop\(columns=\['c'\]\)"):
        TableColumns.fit(X)


def test_integers_that_are_one_float_stay_what_they_are():
    table = np.arange(2**64 - 12, 2**64, dtype=np.uint64)[:, np.newaxis]
    assert len(np.unique(table.astype(np.float64))) == 1
    columns = TableColumns.fit(table)
    shown = columns.to_network(table)
    assert np.isfinite(shown).all()
    np.testing.assert_array_equal(columns.to_data(shown), table)


def test_other_columns_are_refused():
    table = mixed_table()
    columns = TableColumns.fit(table)
    with pytest.raises(ValueError, match="11 columns, but 12"):
        columns.to_network(table.iloc[:, 1:])
    with pytest.raises(ValueError, match="in the same order"):
        columns.to_network(table.iloc[:, ::-1])
    table["income"] = "much"
    with pytest.raises(ValueError, match="'income' of X had numbers"):
        columns.to_network(table)


@pytest.mark.parametrize(
    "values", [pd.date_range("2020", periods=5), np.arange(5) * 1j]
)
def test_columns_that_are_neither_numbers_nor_levels_are_refused(values):
    with pytest.raises(TypeError, match="Column 'when'"):
        TableColumns.fit(pd.DataFrame({"when": values}))


def test_dates_among_objects_are_refused():
    days = [datetime.date(2020, 1, 1 + i % 9) for i in range(20)]
    numbers = TableColumns.fit(pd.DataFrame({"when": np.arange(20.0)}))
    for values in (days, pd.Series(pd.to_datetime(days), dtype=object)):
        table = pd.DataFrame({"when": pd.Series(values, dtype=object)})
        for refuse in (TableColumns.fit, numbers.to_network):
            with pytest.raises(TypeError, match="of X has cells of (date|Timestamp)"):
                refuse(table)
    # Unless they are said to be levels.
    assert TableColumns.fit(table, ["when"]).kinds == {"when": "categorical"}
    back = TableColumns.fit(table.astype("category")).to_data(np.eye(9))
    assert set(back["when"]) == set(table["when"])


@pytest.mark.parametrize(
    "declared", ["colour", [99], [-1], ["no such"], [True, False], 3, [[1, 2]]]
)
def test_bad_categorical_features_are_refused(declared):
    with pytest.raises(ValueError, match="categorical_features"):
        TableColumns.fit(mixed_table(), declared)


@pytest.mark.parametrize("seed", SEEDS)
def test_between_two_atoms_with_nothing_between(seed):
    # No row of fit lies there, so the density would be 0 and its logarithm infinite.
    others = np.random.RandomState(seed).rand(40)
    column = np.concatenate([others, np.repeat([1.5, 2.0, 9.0], 20)])[:, np.newaxis]
    columns = TableColumns.fit(column)
    assert columns.kinds == {0: "mixed"}
    with np.errstate(all="raise"):
        assert (log_jacobian(columns, column)[40:] == 0).all()
        between = np.array([[1.6], [1.9], [3.0], [8.0]])
        assert (log_jacobian(columns, between) == 0).all()
    back = columns.to_data(columns.to_network(between))
    np.testing.assert_array_equal(back[:, 0], [1.5, 2.0, 2.0, 9.0])


def test_values_out_of_reach_are_refused():
    X = np.random.RandomState(0).normal(size=(50, 1))
    with pytest.raises(ValueError, match="too far away"):
        TableColumns.fit(X).to_network(X * 1e300)


def test_arrays_that_are_no_tables_are_refused():
    with pytest.raises(ValueError, match="2 dimensions"):
        TableColumns.fit(np.zeros(3))
