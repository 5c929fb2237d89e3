"""Checkpoints: a fit that was killed goes on where it was."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from skorch.callbacks import (
    Callback,
    EpochTimer,
    GradientNormClipping,
    PrintLog,
    ProgressBar,
)
from torch import Tensor

from skautoencoder.tensor_files import (
    DOCUMENT,
    TensorFile,
    UnreadableFile,
    bytes_of,
    replacing,
    write,
)
from skautoencoder.training.batches import Rows
from skautoencoder.training.stopping import EarlyStopping

_FILE, _LOCK = "checkpoint.safetensors", "lock"
_OF_STOPPING = ("best_loss_", "n_waited_", "lowest_loss_", "best_weights_")
# Callbacks without a state that later epochs depend on. (The state of early stopping is
# stored.)
_STATELESS = (EpochTimer, GradientNormClipping, PrintLog, ProgressBar)
# Those whose parameters change what is learnt.
_SHAPING = (EarlyStopping, GradientNormClipping)


class Checkpoint:
    """A folder in which a fit keeps its state after each epoch.

    Parameters
    ----------
    folder : str or path-like
        The folder. It is made if it does not exist.

    Attributes
    ----------
    seed : int
        A seed that stays the same until the fit is done.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / _FILE
        self._found = self._read()
        if self._found is None:
            self.seed = int(np.random.default_rng().integers(2**31 - 1))
        else:
            self.seed = self._found["seed"]

    @classmethod
    @contextmanager
    def opened(
        cls, folder: str | os.PathLike[str] | None
    ) -> Iterator[Checkpoint | None]:
        """Yield the checkpoint in a folder, which no other fit can use meanwhile.

        What is in it is removed at the end, if the block does not raise.

        Parameters
        ----------
        folder : str, path-like or None
            The folder. None: yields None.
        """
        if folder is None:
            yield None
            return
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            lock = open(Path(folder, _LOCK), "a+b")  # noqa: SIM115
        except OSError as error:
            raise type(error)(
                error.errno,
                f"checkpoint={os.fspath(folder)!r} is no folder that can be written to "
                f"({error.strerror}). Name another one",
            ) from error
        with lock:
            _lock(lock, folder)
            for unfinished in Path(folder).glob(f".{_FILE}.*"):  # of a fit that died
                unfinished.unlink()
            checkpoint = cls(folder)
            yield checkpoint
            checkpoint.path.unlink(missing_ok=True)

    @contextmanager
    def of(self, net: Any, data: Rows, valid: Rows | None, name: str) -> Iterator[None]:
        """Keep the state of a net that is trained within the block.

        Parameters
        ----------
        net : AutoencoderNet
            The net, with its initial weights.
        data : Rows
            The rows that it is trained on.
        valid : Rows or None
            The rows that `valid_loss` is measured on, if the user gave some.
        name : str
            Name of the estimator.

        Raises
        ------
        ValueError
            If the folder has the state of another net or of other data, or a callback
            has a state that is not known.
        OSError
            If there is not enough space.
        """
        _check_callbacks(net)
        identity = {
            "model": _describe(net, name),
            "data": _digest_of(data),
            "X_valid": None if valid is None else _digest_of(valid),
        }
        weights = [*net.module_.state_dict().values()]
        identity["weights"] = _digest(weights)
        if self._found is not None:
            self._require_same(identity)
        self._require_space(6 * sum(weight.nbytes for weight in weights))
        callback = KeepsState(self, identity, self._found)
        net.callbacks_.append(("checkpoint", callback))
        try:
            yield
        finally:
            net.callbacks_.remove(("checkpoint", callback))

    def write(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint, so that one of the two is there at any time.

        The file has what torch.save makes of the state, and a checksum.
        """
        buffer = io.BytesIO()
        torch.save(_without_numpy(state | {"seed": self.seed}), buffer)
        buffer.seek(0)
        try:
            # Now rather than after the training that could not be taken up again.
            _load(buffer, "meta")
        except pickle.UnpicklingError as error:
            raise TypeError(
                f"checkpoint={os.fspath(self.folder)!r} can hold tensors, numbers and "
                "texts, but the state of the optimizer or of the network has other "
                "objects. Leave out checkpoint, or use another optimizer."
            ) from error
        content = torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
        with replacing(self.path) as file:
            write(file, {DOCUMENT: content}, "checkpoint")

    def _read(self) -> dict[str, Any] | None:
        try:
            with open(self.path, "rb") as file:
                raw = TensorFile(file).read_bytes(DOCUMENT)
            found = _load(io.BytesIO(raw), "cpu")
        except FileNotFoundError:
            return None
        except OSError:
            raise
        except Exception as error:  # torch.load raises any kind for what is not its own
            what = "Its file is not a checkpoint of this version."
            raise UnreadableFile(
                f"checkpoint={os.fspath(self.folder)!r}: "
                f"{error if isinstance(error, UnreadableFile) else what} "
                "Empty the folder to begin anew."
            ) from error
        return found

    def _require_same(self, identity: dict[str, Any]) -> None:
        """Raise if the checkpoint is that of another fit."""
        assert self._found is not None
        before = self._found["identity"]
        where = f"checkpoint={os.fspath(self.folder)!r}"
        cure = "Use another folder, or empty this one to begin anew."
        for name, value in identity["model"].items():
            if before["model"].get(name) != value:
                raise ValueError(
                    f"{where} has the state of another model: its {name} is "
                    f"{before['model'].get(name)}, here it is {value}. {cure}"
                )
        if before["data"] != identity["data"]:
            raise ValueError(f"{where} has the state of a fit to other data. {cure}")
        if before.get("X_valid") != identity["X_valid"]:
            raise ValueError(
                f"{where} has the state of a fit with another X_valid. {cure}"
            )
        if before["weights"] != identity["weights"]:
            raise ValueError(
                f"{where} has the state of a fit that began with other weights, as "
                f"with another random_state or warm start. {cure}"
            )

    def _require_space(self, n_bytes: int) -> None:
        """Raise if two checkpoints do not fit: the next is written beside the last."""
        free = shutil.disk_usage(self.folder).free
        if free < n_bytes:
            raise OSError(
                errno.ENOSPC,
                f"checkpoint={os.fspath(self.folder)!r} has {free / 2**20:.0f} MiB of "
                f"free space, but needs {n_bytes / 2**20:.0f}",
            )


class KeepsState(Callback):
    """Writes a net's state after each epoch, and puts a state back before the first.

    It comes after early stopping, whose state it stores.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        identity: dict[str, Any],
        found: dict[str, Any] | None,
    ) -> None:
        self.checkpoint = checkpoint
        self.identity = identity
        self.found = found

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Put back the state, or write that of the beginning."""
        self.n_before = len(net.history)
        self.random: dict[str, Tensor] = {}
        found = self.found
        if found is None:
            self.keep(net)
            return
        if not found["history"]:
            # As at the beginning of any fit. The generators above all: they have yet
            # to draw the noise of the rows held out.
            return
        net.module_.load_state_dict(found["weights"])
        net.optimizer_.load_state_dict(found["optimizer"])
        net.history.extend(found["history"])
        for stopping, state in zip(_stopping(net), found["stopping"], strict=True):
            stopping.__dict__.update(state)
        net.n_done = found["n_done"]
        net.n_epochs_before = len(found["history"])
        if any(s.n_waited_ >= s.patience for s in _stopping(net)):
            net.n_epochs_before = net.max_epochs
        self.random = found["random"]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Put back the state of torch's generators.

        Not earlier: what is drawn before the first epoch is drawn anew.
        """
        for name, state in self.random.items():
            _set_random_state(name, state, net.device)
        self.random = {}

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the state."""
        self.keep(net)

    def keep(self, net: Any) -> None:
        """Write the state of now."""
        self.checkpoint.write(
            {
                "identity": self.identity,
                "weights": net.module_.state_dict(),
                "optimizer": net.optimizer_.state_dict(),
                "history": [
                    dict(row, batches=[{}]) for row in net.history[self.n_before :]
                ],
                "stopping": [
                    {name: getattr(each, name) for name in _OF_STOPPING}
                    for each in _stopping(net)
                ],
                "n_done": net.n_done,
                "random": dict(_random_states(net.device)),
            }
        )


# ---- the content of a file -----------------------------------------------------------


def _load(file: BinaryIO, device: str) -> dict[str, Any]:
    """Return what torch.save has written; no code of the file is run."""
    state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return state


def _without_numpy(value: Any) -> Any:
    """Return a value with numbers of Python, as torch.load refuses those of NumPy."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {name: _without_numpy(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_without_numpy, value))
    return value


# ---- generators and callbacks ------------------------------------------------------


def _random_states(device: str) -> Iterator[tuple[str, Tensor]]:
    yield "cpu", torch.get_rng_state()
    if device.startswith("cuda"):
        yield "cuda", torch.cuda.get_rng_state(device)
    elif device.startswith("mps"):
        yield "mps", torch.mps.get_rng_state()


def _set_random_state(name: str, state: Tensor, device: str) -> None:
    if name == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif name == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.set_rng_state(state)


def _stopping(net: Any) -> list[EarlyStopping]:
    return [c for _, c in net.callbacks_ if type(c) is EarlyStopping]


def _check_callbacks(net: Any) -> None:
    """Raise if a callback is not known to have no state, or its state is not stored."""
    for _, callback in net.callbacks_:
        is_ours = type(callback).__module__.startswith("skautoencoder.training")
        if not is_ours and type(callback) not in _STATELESS:
            raise ValueError(
                f"callbacks has a {type(callback).__name__}, whose state a checkpoint "
                "does not hold, so that the fit could not go on as it was. Leave out "
                "checkpoint or the callback."
            )


# ---- what identifies a fit ---------------------------------------------------------


def _describe(net: Any, name: str) -> dict[str, str]:
    """Return what determines a fit besides its data and its first weights."""
    parts = {
        key: value
        for key, value in vars(net).items()
        if key.startswith(("criterion__", "optimizer__", "iterator_train__"))
        and key != "iterator_train__seed"  # follows from the one below
    }
    names = ("lr", "lr_schedule", "batch_size", "max_epochs", "validation_fraction")
    described = {
        "estimator": name,
        "network": repr(net.module_),
        "objective": net.criterion.__name__,
        "optimizer": net.optimizer.__name__,
        **{key: getattr(net, key) for key in names},
        **parts,
        "precision": net.compute_dtype,
        "callbacks": [
            {type(each).__name__: each.get_params(deep=False)}
            for _, each in net.callbacks_
            if type(each) in _SHAPING
        ],
        "random_state": net.seed,
    }
    # Without the addresses of objects.
    return {
        key: re.sub(r" at 0x[0-9a-f]+", "", repr(value))
        for key, value in described.items()
    }


def _digest_of(data: Rows) -> str:
    tensors = [data.rows, data.targets, data.samples, data.weights]
    return _digest([tensor for tensor in tensors if tensor is not None])


def _digest(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        memory = bytes_of(tensor.detach().cpu().contiguous())
        digest.update(memoryview(memory))  # type: ignore[arg-type]
    return digest.hexdigest()


# ---- the lock ----------------------------------------------------------------------


def _lock(file: BinaryIO, folder: str | os.PathLike[str]) -> None:
    """Lock an open file until it is closed, or the process ends in any way."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ValueError(
            f"checkpoint={os.fspath(folder)!r} is in use by another fit. Give each fit "
            "a folder of its own; a search has many fits, for which it cannot be set."
        ) from error
