"""Files that were damaged, cut, exchanged, or made to do harm."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from helpers import ROWS, tiny_conv, tiny_dense
from sealing import document_of, parts_of, sealed, to_bytes, with_document, written
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderOutlierDetector, Dense, VAESampler, load, save

X = ROWS[:40]

#: How many files each kind of damage is tried on; `make fuzz` sets more.
N_TRIED = int(os.environ.get("SKAUTOENCODER_FUZZ", "50"))


@pytest.fixture(scope="module")
def fitted() -> Any:
    return tiny_dense(max_epochs=1).fit(X)


@pytest.fixture(scope="module")
def content(fitted: Any) -> bytes:
    return to_bytes(fitted)


def flipped(content: bytes, random: np.random.RandomState) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 10])):
        changed[random.randint(len(changed))] ^= 1 << random.randint(8)
    return bytes(changed)


def cut(content: bytes, random: np.random.RandomState) -> bytes:
    return content[: random.randint(len(content))]


def spliced(content: bytes, random: np.random.RandomState) -> bytes:
    """Blocks as a disk or a transfer would lose, repeat, exchange or blank them."""
    size = 2 ** random.randint(0, 12)
    one, other = (random.randint(len(content)) for _ in range(2))
    block = content[other : other + size]
    how = random.randint(4)
    if how == 0:
        return content[:one] + content[one + size :]
    if how == 1:
        return content[:one] + block + content[one:]
    if how == 2:
        return content[:one] + block + content[one + len(block) :]
    return content[:one] + bytes(len(block)) + content[one + len(block) :]


def loaded_or_none(path: Path) -> Any:
    """Return the estimator in a file, or None if `load` refuses it and names it."""
    try:
        return load(path)
    except ValueError as error:
        if str(path) not in str(error):
            raise
        return None


@pytest.mark.parametrize("damage", [flipped, cut, spliced])
@pytest.mark.parametrize("kind", ["estimator", "pipeline"])
def test_damage_is_an_error_or_changes_nothing(
    damage: Any, kind: str, fitted: Any, content: bytes, tmp_path: Path
) -> None:
    random, path, expected = np.random.RandomState(0), tmp_path / "model", content
    if kind == "pipeline":
        pipeline = make_pipeline(StandardScaler(), tiny_dense(max_epochs=1)).fit(X)
        expected, fitted = to_bytes(pipeline), pipeline
    answers, n_refused = fitted.transform(X), 0
    for _ in range(N_TRIED):
        changed = damage(expected, random)
        if changed == expected:
            continue
        loaded = loaded_or_none(written(path, changed))
        n_refused += loaded is None
        if loaded is not None:
            np.testing.assert_array_equal(loaded.transform(X), answers)
    assert n_refused > 0.9 * N_TRIED
    print(f"\n{damage.__name__} {kind}: {n_refused} of {N_TRIED} refused")


def nodes_of(document: Any) -> list[tuple[Any, Any]]:
    """Return all places in a description, as a container and a key of it."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        node = waiting.pop()
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in pairs:
            found.append((node, key))
            if isinstance(child, dict | list):
                waiting.append(child)
    return found


ODD = [None, True, -1, 0, 10**12, 1e308, "", "os.system", [], {}, {"$": "name"}, [[]]]
ODD += [
    {"$": "own", "name": "x"},
    {"$": "same", "number": 0},
    {"$": "tensor", "of": []},
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["dense", "conv", "table", "detector"])
def test_an_edited_description_is_an_error_or_a_model(
    kind: str, tmp_path: Path
) -> None:
    """With its checksum corrected, so that only the checks behind it are left."""
    made = {
        "dense": lambda: tiny_dense(max_epochs=1),
        "conv": lambda: tiny_conv(max_epochs=1),
        "table": lambda: VAESampler(
            2, architecture=Dense((6,)), prior="normal", max_epochs=1
        ),
        "detector": lambda: AutoencoderOutlierDetector(
            2, architecture=Dense((6,)), max_epochs=1
        ),
    }[kind]()
    content = to_bytes(made.fit(X[:, 20:26]))
    original, random = document_of(content), np.random.RandomState(0)
    n_refused = 0
    for _ in range(N_TRIED):
        document = copy.deepcopy(original)
        places = nodes_of(document)
        node, key = places[random.randint(len(places))]
        node[key] = copy.deepcopy(ODD[random.randint(len(ODD))])
        path = written(tmp_path / "model", with_document(content, document))
        n_refused += loaded_or_none(path) is None
    print(f"\n{kind}: {n_refused} of {N_TRIED} refused")
    assert n_refused


def test_other_kinds_of_files_are_named(tmp_path: Path, fitted: Any) -> None:
    path = tmp_path / "model"
    joblib.dump(fitted, path)
    with pytest.raises(ValueError, match=r"looks like a pickle.*never unpickled"):
        load(path)
    torch.save(fitted.net_.module_.state_dict(), path)
    with pytest.raises(ValueError, match="zip archive"):
        load(path)
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"is no file of skautoencoder\.save"):
        load(path)
    for content in (b"", b"hello", bytes(100)):
        with pytest.raises(ValueError, match=r"is no file of skautoencoder\.save"):
            load(written(path, content))


def test_what_is_wrong_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    with pytest.raises(ValueError, match=r"within its header"):
        load(written(path, content[:500]))
    with pytest.raises(ValueError, match=rf"{len(content) - 1} bytes where .*missing"):
        load(written(path, content[:-1]))
    with pytest.raises(ValueError, match="Something follows"):
        load(written(path, content + b"\0"))
    with pytest.raises(ValueError, match="checksum"):
        load(written(path, content[:-9] + b"a" + content[-8:]))


def test_a_later_version_is_said(tmp_path: Path, content: bytes) -> None:
    header, data = parts_of(content)
    header["__metadata__"] |= {"format_version": "2", "written_by": "3.1"}
    with pytest.raises(
        ValueError, match=r"version 2 of the format.*skautoencoder 3\.1"
    ):
        load(written(tmp_path / "model", sealed(header, data)))
    document = document_of(content)
    document["content"]["params"]["newest"] = 1
    with pytest.raises(ValueError, match="newest"):
        load(written(tmp_path / "model", with_document(content, document)))


def test_weights_of_another_network_are_refused(tmp_path: Path, content: bytes) -> None:
    """Also where the names agree, and someone corrected the checksum."""
    other = document_of(to_bytes(tiny_dense(4, max_epochs=1).fit(X)))
    document = document_of(content)
    net = other["content"]["state"]["net_"]
    document["content"]["state"]["net_"]["params"] = net["params"]
    with pytest.raises(ValueError, match=r"encoder\.2\.weight is of shape \(4, 12\)"):
        load(written(tmp_path / "model", with_document(content, document)))


def test_another_architecture_is_refused(tmp_path: Path, content: bytes) -> None:
    document = document_of(content)
    params = document["content"]["state"]["net_"]["params"]
    params["module__architecture"]["fields"]["activation"] = "relu"
    with pytest.raises(ValueError, match="first difference ELU, now ReLU"):
        load(written(tmp_path / "model", with_document(content, document)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [10**12]),
        ("shape", [-1, -768]),
        ("shape", [True, 1]),
        ("dtype", "F128"),
        ("data_offsets", [0, 10**12]),
        ("data_offsets", [8, 16]),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(
    field: str, value: Any, tmp_path: Path, content: bytes
) -> None:
    header, data = parts_of(content)
    header["0"][field] = value
    with pytest.raises(ValueError, match="header|arrays"):
        load(written(tmp_path / "model", sealed(header, data)))


HUGE: dict[str, tuple[Any, dict[str, Any]]] = {
    "hidden": (
        tiny_dense(max_epochs=1),
        {"hidden_layer_sizes": {"$": "tuple", "of": [10**6, 10**6]}},
    ),
    "channels": (tiny_conv(max_epochs=1), {"channels": [10**7, 10**7]}),
    "kernel": (tiny_conv(max_epochs=1), {"kernel_size": 10**5 + 1}),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_network_larger_than_the_file_takes_no_memory(
    kind: str, tmp_path: Path
) -> None:
    estimator, edit = HUGE[kind]
    content = to_bytes(estimator.fit(X))
    document = document_of(content)
    params = document["content"]["state"]["net_"]["params"]
    params["module__architecture"]["fields"] |= edit
    with pytest.raises(ValueError, match="is of shape|too large|content|difference"):
        load(written(tmp_path / "model", with_document(content, document)))


def test_deep_and_wide_descriptions_are_errors(tmp_path: Path, content: bytes) -> None:
    for raw in (b"[" * 10**5 + b"]" * 10**5, b"{}", b"", b"[1", b'"\xff"'):
        with pytest.raises(ValueError, match="content"):
            load(written(tmp_path / "model", with_document(content, raw)))


class Runs:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["SKAUTOENCODER_MARK"],)


def test_nothing_is_run_or_imported(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("SKAUTOENCODER_MARK", str(mark))
    path = written(tmp_path / "model", pickle.dumps(Runs()))
    with pytest.raises(ValueError, match="pickle"):
        load(path)
    for name in ("os.mkdir", "builtins.eval", "Runs", "__class__", "Decimal.__init__"):
        for node in (
            {"$": "name", "name": name},
            {"$": "object", "kind": name, "fields": {}},
            {"$": "estimator", "kind": name, "params": {}, "state": {}},
            {"$": "own", "name": name},
            {"$": name},
        ):
            document = document_of(content)
            document["content"]["params"]["loss"] = node
            with pytest.raises(ValueError, match=r"content|custom_objects"):
                load(written(path, with_document(content, document)))
    document = document_of(content)
    document["content"]["state"]["__class__"] = {"$": "name", "name": "int"}
    with pytest.raises(ValueError, match="__class__"):
        load(written(path, with_document(content, document)))
    assert not mark.exists()


def test_an_archive_within_cannot_swell(tmp_path: Path) -> None:
    content = to_bytes(make_pipeline(StandardScaler()).fit(X))
    header, data = parts_of(content)
    start, stop = header["0"]["data_offsets"]
    swollen = io.BytesIO()
    with zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 10**7)
    raw = swollen.getvalue()
    header["0"] = {"dtype": "U8", "shape": [len(raw)], "data_offsets": [0, len(raw)]}
    n_document = header["document"]["shape"][0]
    header["document"]["data_offsets"] = [len(raw), len(raw) + n_document]
    path = written(tmp_path / "model", sealed(header, raw + data[stop:]))
    with pytest.raises(ValueError, match="compressed"):
        load(path)
    assert start == 0


def _peak_of_memory() -> int:
    """Return the most bytes of memory that this process has had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_takes_little_more_memory_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    large = tiny_dense(
        2000, architecture=Dense((1500,)), max_epochs=1, batch_size=40, optimizer="sgd"
    ).fit(X)
    save(large, path)
    size = path.stat().st_size
    assert size > 20e6
    damaged = bytearray(path.read_bytes())
    damaged[-100_000] ^= 1
    written(tmp_path / "damaged", bytes(damaged))
    del large, damaged
    for name, allowed in (("damaged", 0.2), ("model", 1.3)):
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = _peak_of_memory()
        assert (loaded_or_none(tmp_path / name) is None) == (name == "damaged")
        assert _peak_of_memory() - before < allowed * size
