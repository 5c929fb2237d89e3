"""Progress of long computations: a bar, a widget of a notebook, or plain lines."""

from __future__ import annotations

import re
import sys
import time
from importlib.util import find_spec
from typing import Any

from skorch.callbacks import Callback, PrintLog
from tqdm import tqdm

# Bars of computations that end sooner, in seconds, are not drawn.
DELAY = 2.0
# Without a terminal, a line is written this often, in seconds.
_EVERY = 10.0
_COLOR_CODES = re.compile(r"\x1b\[\d*m")


class Progress:
    """A bar in a terminal, a widget in a notebook, and elsewhere plain lines.

    Everything is written to standard error.

    Parameters
    ----------
    total : int
        Number of steps.
    label : str
        What is computed.
    unit : str
        What a step is called.
    delay : float, default=0.0
        Nothing is written before so many seconds have passed.
    keeps : bool, default=False
        Whether the finished bar stays, or a last line is written.
    """

    def __init__(
        self,
        total: int,
        label: str,
        unit: str,
        *,
        delay: float = 0.0,
        keeps: bool = False,
    ) -> None:
        self.total = total
        self.label = label
        self.unit = unit
        self.keeps = keeps
        self._done = 0
        self._text = ""
        self._begin = time.monotonic()
        self._next_line = self._begin + max(delay, _EVERY)
        bar = _kind_of_bar()
        self._bar: Any = None
        if bar is not None:
            self._bar = bar(
                total=total,
                desc=f"{label}: {unit}",
                bar_format="{desc} {n_fmt}/{total_fmt}{postfix} |{bar}| "
                "{elapsed}<{remaining}",
                leave=keeps,
                delay=delay,
                mininterval=0.2,
            )

    def update(self, text: str = "", n_steps: int = 1) -> None:
        """Count steps that are done.

        Parameters
        ----------
        text : str, default=""
            What is known now, such as a loss.
        n_steps : int, default=1
            How many steps.
        """
        self._done += n_steps
        self._text = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(n_steps)
        elif time.monotonic() >= self._next_line and self._done < self.total:
            self._next_line = time.monotonic() + _EVERY
            self._write_line()

    def close(self) -> None:
        """End the bar, or write the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self.keeps:
            self._write_line()

    def _write_line(self) -> None:
        seconds = time.monotonic() - self._begin
        left = self.total - self._done
        when = f"{seconds:.1f} s"
        if left and self._done:
            when += f", {seconds / self._done * left:.0f} s left"
        text = f", {self._text}" if self._text else ""
        line = f"{self.label}: {self.unit} {self._done}/{self.total}{text}, {when}"
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class FitProgress(Callback):
    """One bar for a fit: epoch, losses, and the time that is left.

    Parameters
    ----------
    label : str
        Name of the estimator.
    """

    def __init__(self, label: str) -> None:
        self.label = label

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin a bar."""
        label = self.label + net.which_start + fit_of_search()
        self.progress_ = Progress(net.max_epochs, label, "epoch", keeps=True)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the losses."""
        epoch = net.history[-1]
        text = f"loss {epoch['train_loss']:.4g}"
        if "valid_loss" in epoch:
            text += f", validation {epoch['valid_loss']:.4g}"
        self.progress_.update(text)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """End the bar, which cannot be pickled with the net."""
        self.progress_.close()
        del self.progress_


class EpochTable(PrintLog):
    """A line for each epoch, with colours in a terminal only."""

    def format_row(self, row: Any, key: str, color: str) -> Any:
        """Return a cell of the table."""
        cell = super().format_row(row, key, color)
        if isinstance(cell, str) and not _is_terminal(sys.stdout):
            return _COLOR_CODES.sub("", cell)
        return cell


def fit_of_search() -> str:
    """Return which fit of a search or of cross-validation runs, such as " [2/12]"."""
    frame: Any = sys._getframe()
    while frame is not None:
        # Only scikit-learn's private function that fits a candidate has these
        # numbers, in the process in which it runs.
        if frame.f_code.co_name == "_fit_and_score":
            known = frame.f_locals
            candidate, fold = (
                known.get(f"{what}_progress") for what in ("candidate", "split")
            )
            if candidate and fold:
                number = candidate[0] * fold[1] + fold[0] + 1
                return f" [fit {number}/{candidate[1] * fold[1]}]"
            return ""
        frame = frame.f_back
    return ""


def _kind_of_bar() -> Any:
    """Return the class of a bar where bars can be drawn, else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if type(shell).__name__ == "ZMQInteractiveShell":
        if find_spec("ipywidgets") is None:
            return tqdm  # which notebooks show as text
        from tqdm.notebook import tqdm as widget

        return widget
    return tqdm if _is_terminal(sys.stderr) else None


def _is_terminal(stream: Any) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())
