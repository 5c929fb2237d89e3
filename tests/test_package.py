"""What importing and using the package does to everything else."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import BOTH, IMAGES, ROWS

import skautoencoder
from skautoencoder import architectures

SOURCE = Path(skautoencoder.__file__).parent


def run(code: str, cwd: Path) -> str:
    """Run code in a Python of its own, and return what it prints."""
    environment = {"PYTHONPATH": str(SOURCE.parent), "PATH": ""}
    # Without it Windows starts no process.
    environment |= {k: v for k, v in os.environ.items() if k == "SYSTEMROOT"}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_public_names() -> None:
    assert set(skautoencoder.__all__) == {
        *architectures.__all__,
        "KL",
        "L1",
        "MMD",
        "TopK",
        "Contraction",
        "Penalty",
        "AutoencoderImputer",
        "AutoencoderOutlierDetector",
        "AutoencoderTransformer",
        "ConvAutoencoderTransformer",
        "DenoisingAutoencoder",
        "SeriesOutlierDetector",
        "VAEOverSampler",
        "VAESampler",
        "__version__",
        "channels_first",
        "channels_last",
        "load",
        "save",
        "to_onnx",
    }
    assert {"Conv", "Custom", "Dense"} <= set(architectures.__all__)
    for module in (skautoencoder, architectures):
        for name in module.__all__:
            assert hasattr(module, name)
    for name in architectures.__all__:
        assert getattr(skautoencoder, name) is getattr(architectures, name)


def test_version() -> None:
    assert skautoencoder.__version__[0].isdigit()
    try:
        installed = metadata.version("skautoencoder")
    except metadata.PackageNotFoundError:
        return  # run from the sources
    assert installed == skautoencoder.__version__


def test_the_package_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_import_brings_nothing_heavy_and_changes_nothing(tmp_path: Path) -> None:
    heavy = ("matplotlib", "tensorflow", "keras", "polars", "pyod", "IPython", "pytest")
    code = f"""
import random, sys, warnings
import numpy, pandas, sklearn, skorch, skorch.callbacks, torch
import torch.utils.data, sklearn.model_selection, sklearn.utils._param_validation
filters = list(warnings.filters)
threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
states = torch.get_rng_state(), numpy.random.get_state()[1].copy(), random.getstate()
showwarning, excepthook = warnings.showwarning, sys.excepthook
import skautoencoder, skautoencoder.architectures, skautoencoder.displays
assert list(warnings.filters) == filters
assert (threads, dtype) == (torch.get_num_threads(), torch.get_default_dtype())
assert torch.equal(states[0], torch.get_rng_state())
assert (states[1] == numpy.random.get_state()[1]).all()
assert states[2] == random.getstate()
assert (showwarning, excepthook) == (warnings.showwarning, sys.excepthook)
print([name for name in {heavy} if name in sys.modules])
"""
    assert run(code, tmp_path) == "[]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", BOTH)
def test_using_the_package_writes_nothing_and_filters_no_warnings(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # The first optimizer of a process makes torch import sympy, which has a filter.
    make().fit(ROWS[:60])
    filters = list(warnings.filters)
    estimator = make(early_stopping=True, verbose=1).fit(ROWS[:60])
    estimator.partial_fit(ROWS[:60])
    estimator.set_params(warm_start=True).fit(ROWS[:60])
    estimator.predict(ROWS[:60])
    make().fit(IMAGES[:60]).score(IMAGES[:60])
    assert list(warnings.filters) == filters
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", BOTH)
def test_using_the_package_warns_of_nothing(make: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make(precision="bfloat16", early_stopping=True).fit(ROWS[:60])
        estimator.inverse_transform(estimator.transform(np.float32(ROWS[:60])))
        estimator.partial_fit(ROWS[:60]).score(ROWS[:60])


def test_no_module_filters_warnings_or_seeds_global_generators() -> None:
    forbidden = (
        "warnings.simplefilter",
        "warnings.filterwarnings",
        "torch.manual_seed(",
        "np.random.seed",
        "random.seed(",
        "use_deterministic_algorithms",
        "print(",
    )
    for path in SOURCE.rglob("*.py"):
        code = "\n".join(
            line.split("#")[0] for line in path.read_text(encoding="utf-8").splitlines()
        )
        # Only where it is put back.
        allowed = ["warnings.simplefilter"] if path.name == "onnx_export.py" else []
        for word in forbidden:
            assert word not in code or word in allowed, f"{word} in {path.name}"
        assert "set_default_dtype" not in code or path.name == "devices.py"
