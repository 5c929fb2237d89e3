"""What cures the plateau on which LSTM autoencoders begin.

The usual one has as code the last state of the encoder, which the decoder is given at
each step. The others have other first weights, as `Recurrent` has them, and besides:
decode from the last step to the first; tell the decoder the time; have weights of each
step's own from the code, into the code, and both ways, which is `Recurrent`. Codes of
three numbers, 40 epochs on 1000 series, 32 units; held-out error as a share of that of
PCA.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._peers import mean_squared_error
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, worker_main
from ._series import load_series
from .sequences import pca

TITLE = "LSTM autoencoders of three numbers: cures of the plateau, against PCA"

SERIES = ("sines", "switch")
CURES: dict[str, dict[str, Any]] = {
    "usual": {"own_weights": False},
    "first weights": {},
    "first weights, in reverse": {"reverse": True},
    "first weights, time": {"write": "time"},
    "first weights, time, in reverse": {"write": "time", "reverse": True},
    "each step's weights from the code": {"write": "steps"},
    "each step's weights into the code": {"read": "steps"},
    "each step's weights both ways (Recurrent)": {"read": "steps", "write": "steps"},
}
CODE_SIZE = 3
HIDDEN_SIZE = 32
EPOCHS = 40
STEP_SIZE = 16


def _network(
    n_steps: int,
    *,
    read: str = "last",
    write: str = "repeat",
    reverse: bool = False,
    own_weights: bool = True,
) -> tuple[Any, Any]:
    """Encoder and decoder for series of one channel, as modules on (n, n_steps)."""
    import torch
    from torch import nn

    from skautoencoder.architectures import Recurrent
    from skautoencoder.architectures._sequence_layers import Steps

    angles = torch.outer(torch.tensor([0.5, 1, 2, 4]), torch.arange(n_steps) / n_steps)
    clock = torch.cat([(2 * np.pi * angles).sin(), (2 * np.pi * angles).cos()])

    def layers(n_inputs: int) -> nn.LSTM:
        if own_weights:
            made = Recurrent(hidden_size=HIDDEN_SIZE)._layers(n_inputs)
            assert isinstance(made, nn.LSTM)
            return made
        return nn.LSTM(n_inputs, HIDDEN_SIZE, batch_first=True)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if read == "last":
                self.layers = layers(1)
                self.to_code = nn.Linear(HIDDEN_SIZE, CODE_SIZE)
            else:
                self.layers = Steps(layers(1), STEP_SIZE)
                self.to_code = nn.Linear(STEP_SIZE * n_steps, CODE_SIZE)

        def forward(self, series: torch.Tensor) -> torch.Tensor:
            if read == "last":
                states, _ = self.layers(series[:, :, None])
                return self.to_code(states[:, -1])
            return self.to_code(self.layers(series[:, None]).flatten(1))

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            n_inputs = {"repeat": CODE_SIZE, "time": CODE_SIZE + len(clock)}
            if write == "steps":
                self.from_code = nn.Linear(CODE_SIZE, STEP_SIZE * n_steps)
            self.layers = Steps(layers(n_inputs.get(write, STEP_SIZE)), 1)

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            if write == "steps":
                given = self.from_code(codes).unflatten(1, (STEP_SIZE, n_steps))
            else:
                given = codes[:, :, None].expand(-1, -1, n_steps)
            if write == "time":
                given = torch.cat([given, clock.expand(len(codes), -1, -1)], dim=1)
            answers = self.layers(given)[:, 0]
            return answers.flip(1) if reverse else answers

    return Encoder(), Decoder()


def cure(cache_dir: str, quick: bool, series: str, name: str) -> Result:
    """Held-out error with one of the cures."""
    import torch

    from skautoencoder import AutoencoderTransformer, Custom

    train, test = (part[:, :, 0] for part in load_series(series, 0))
    center, scale = train.mean(axis=0), train.std()
    torch.manual_seed(0)
    encoder, decoder = _network(train.shape[1], **CURES[name])
    estimator = AutoencoderTransformer(
        CODE_SIZE,
        architecture=Custom(encoder, decoder),
        max_epochs=1 if quick else EPOCHS,
        batch_size=32,
        precision="float32",
        random_state=0,
    ).fit((train - center) / scale)
    answers = estimator.predict((test - center) / scale) * scale + center
    return {"mse": mean_squared_error(test, answers)}


CASES: dict[str, Case] = {"cure": cure, "pca": pca}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    rows, runs = [], {}
    for series in SERIES:
        cases = {"PCA": {"case": "pca", "series": series, "seed": 0}}
        cases |= {
            name: {"case": "cure", "series": series, "name": name} for name in CURES
        }
        of_series = take_turns("recurrent_cures", cases, context, 1)
        rows += [
            ratio_row(
                f"{series}: held-out error, {name} / PCA",
                of_series[name],
                of_series["PCA"],
                "mse",
                unit="mse",
            )
            for name in CURES
        ]
        runs |= {f"{series} {name}": results for name, results in of_series.items()}
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
