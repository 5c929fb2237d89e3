"""A table with categories: are samples as good to learn from as real rows?

A synthetic table of 5000 rows with categories, booleans, integers and numbers, some
of which depend on others, and a label that depends on most of them. A classifier
learns the label from samples alone and is asked about real rows that were held out;
its accuracy is compared with that of a classifier that has learnt from the real rows.
ctgan's TVAE has its defaults and is told which columns have levels.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from ._report import Row, ratio_row
from ._runner import Case, Context, Result, state_of, take_turns, timed, worker_main
from ._tables import fit_tvae

TITLE = "A mixed table: a classifier that learns from samples, against TVAE"

N_ROWS = 5000
LABEL = "buys"
DISCRETE = ["region", "plan", "member", "children", LABEL]
REGIONS = {"east": 0.4, "north": 0.3, "south": 0.2, "west": 0.1}
ROUNDS = 3


def make_table(n_rows: int, seed: int) -> Any:
    """Customers of a shop."""
    import pandas as pd

    random = np.random.RandomState(seed)
    region = random.choice(list(REGIONS), n_rows, p=list(REGIONS.values()))
    is_south = region == "south"
    age = np.round(18 + 60 * random.beta(2, 3 - is_south, n_rows)).astype(int)
    income = np.exp(random.normal(9.5 + 0.4 * np.sin(age / 15), 0.5, n_rows))
    richer = np.log(income) - 9.7
    chance = np.stack([1.0 - richer, 0.3 + 0 * richer, 1.5 * richer], axis=1)
    chance = np.exp(chance - chance.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    plan = (random.rand(n_rows, 1) > chance.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    member = random.rand(n_rows) < np.where(plan == 2, 0.8, 0.25)
    children = random.poisson(np.clip((age - 18) / 25, 0.1, 1.6))
    visits = random.poisson(3 + 9 * member + 2 * children)
    spent = np.where(
        random.rand(n_rows) < 0.35,
        0.0,
        np.round(visits * random.gamma(2.0, 4.0 + 4.0 * plan, n_rows), 2),
    )
    score = (
        1.2 * (np.abs(age - 45) < 12)
        + 0.9 * member
        + 0.8 * (region == "north") * (plan > 0)
        + 0.02 * np.minimum(spent, 100)
        + 0.7 * richer
        - 0.5 * (children > 2)
        - 1.6
    )
    return pd.DataFrame(
        {
            "region": region,
            "age": age,
            "income": income,
            "plan": pd.Categorical.from_codes(plan, ["basic", "plus", "premium"]),
            "member": member,
            "children": children,
            "visits": visits,
            "spent": spent,
            LABEL: random.rand(n_rows) < 1 / (1 + np.exp(-2.5 * score)),
        }
    )


def accuracy(train: Any, real: Any) -> float:
    """Accuracy on real rows of gradient boosting that has learnt from others."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = make_column_transformer(
        (one_hot, ["region", "plan"]), remainder="passthrough"
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(random_state=0))
    model.fit(train.drop(columns=LABEL), train[LABEL].astype(bool))
    return float(model.score(real.drop(columns=LABEL), real[LABEL]))


def learn(contestant: str, cache_dir: str, quick: bool, seed: int) -> Result:
    """One contestant: seconds of the fit, and the accuracy that its samples give."""
    warnings.simplefilter("ignore")  # what TVAE's dependencies deprecate
    table = make_table(600 if quick else N_ROWS, seed)
    half = len(table) // 2
    train, real = table[:half].reset_index(drop=True), table[half:]
    if contestant == "ours":
        from skautoencoder import VAESampler

        seconds, fitted = timed(lambda: VAESampler(random_state=seed).fit(train))
        drawn = fitted.sample(half, random_state=seed)
    else:
        # It knows no pandas categories.
        plain = train.assign(plan=train["plan"].astype(object))
        seconds, fitted = timed(lambda: fit_tvae(plain, DISCRETE, seed))
        drawn = fitted.sample(half)
        drawn[LABEL] = drawn[LABEL].astype(str) == "True"
        drawn["member"] = drawn["member"].astype(str) == "True"
    return {
        "seconds": seconds,
        "from samples": accuracy(drawn, real),
        "from real rows": accuracy(train, real),
        "always the same": float(max(real[LABEL].mean(), 1 - real[LABEL].mean())),
    }


CASES: dict[str, Case] = {
    f"learn_{contestant}": partial(learn, contestant) for contestant in ("ours", "tvae")
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs: dict[str, list[Result]] = {"ours": [], "TVAE": []}
    for seed in range(context.rounds(ROUNDS)):
        turn = take_turns(
            "mixed_table",
            {
                "ours": {"case": "learn_ours", "seed": seed},
                "TVAE": {"case": "learn_tvae", "seed": seed},
            },
            context,
            1,
        )
        for name, results in turn.items():
            runs[name] += results
    rows = []
    for name in runs:
        state = state_of(runs[name])
        what = f"accuracy from samples of {name} / from real rows"
        if state is not None:
            rows.append(Row(what, None, unit="%", ours=state))
            continue
        shares = [r["from samples"] / r["from real rows"] for r in runs[name]]
        means = {
            key: np.mean([result[key] for result in runs[name]])
            for key in ("from samples", "from real rows", "always the same")
        }
        figures = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
        rows.append(
            Row(
                what,
                100 * float(np.mean(shares)),
                ours=figures if name == "ours" else "",
                peer=figures if name != "ours" else "",
                unit="%",
                at_least=95 if name == "ours" else None,
            )
        )
    rows += [
        ratio_row(
            "accuracy from samples, ours / TVAE",
            runs["ours"],
            runs["TVAE"],
            "from samples",
            unit="",
            at_least=1.0,
        ),
        ratio_row(
            "time of a fit, ours / TVAE",
            runs["ours"],
            runs["TVAE"],
            "seconds",
            at_most=1 / 3,
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
