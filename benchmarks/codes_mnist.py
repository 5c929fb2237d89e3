"""MNIST codes of several sizes with the default settings, against PCA.

Only `code_size` and `sample_shape` are given. Asked: a test error at least 30 %
below PCA's at every size. A fit takes minutes; `--code-sizes` chooses some.
"""

from __future__ import annotations

from ._data import load_mnist
from ._peers import mean_squared_error, n_parameters, pca
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, run_case, timed, worker_main

TITLE = "MNIST codes with the default settings against PCA"

CODE_SIZES = (2, 10, 32, 64)
SHARE_OF_PCA = 0.7
N_PIXELS = 784


def ours(cache_dir: str, quick: bool, code_size: int) -> Result:
    """Fit ours with defaults; its time and test error."""
    from skautoencoder import AutoencoderTransformer

    n_train, n_test = (2000, 1000) if quick else (None, None)
    x_train, x_test = load_mnist(cache_dir, n_train, n_test)
    model = AutoencoderTransformer(code_size, sample_shape=(28, 28), random_state=0)
    if quick:
        model.set_params(max_epochs=3)
    seconds, _ = timed(lambda: model.fit(x_train))
    mse = mean_squared_error(x_test, model.predict(x_test))
    return {
        "seconds": seconds,
        "mse": mse,
        "error": mse * N_PIXELS,
        "train_mse": mean_squared_error(
            x_train[:10_000], model.predict(x_train[:10_000])
        ),
        "epochs": int(model.n_iter_),
        "parameters": n_parameters(model.net_.module_),
    }


def pca_code(cache_dir: str, quick: bool, code_size: int) -> Result:
    """The linear code of the same size."""
    n_train, n_test = (2000, 1000) if quick else (None, None)
    x_train, x_test = load_mnist(cache_dir, n_train, n_test)
    result = pca(x_train, x_test, code_size)
    return {**result, "error": float(result["mse"]) * N_PIXELS}


CASES: dict[str, Case] = {"ours": ours, "pca": pca_code}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table.

    One run of each: the seed fixes the errors, and no time here is near its limit
    by less than a machine's drift.
    """
    runs: dict[str, list[Result]] = {}
    rows = []
    for code_size in CODE_SIZES[:1] if context.quick else CODE_SIZES:
        linear = [run_case("codes_mnist", "pca", context, code_size=code_size)]
        fitted = [fit_ours(context, code_size)]
        runs |= {f"PCA {code_size}": linear, f"ours {code_size}": fitted}
        rows.append(
            ratio_row(
                f"test mse, ours / PCA, code_size={code_size}",
                fitted,
                linear,
                "mse",
                unit="mse",
                at_most=SHARE_OF_PCA,
                note="Ours: AutoencoderTransformer(code_size, sample_shape=(28, 28)).",
            )
        )
    return rows, runs


def fit_ours(context: Context, code_size: int) -> Result:
    return run_case("codes_mnist", "ours", context, code_size=code_size)


if __name__ == "__main__":
    worker_main(CASES)
