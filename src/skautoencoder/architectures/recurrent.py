"""Recurrent autoencoders for sequences."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._layers import ACTIVATIONS, linear
from skautoencoder.architectures._sequence_layers import (
    FromSteps,
    Steps,
    ToSteps,
    as_sequence_shape,
)
from skautoencoder.architectures.dense import code_layers

# Numbers of each step between the recurrent layers and the code.
_STEP_SIZE = 16

_CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(Architecture):
    """A recurrent encoder that goes through the steps of a sequence, and a decoder.

    What the encoder's units say at each step goes into the code with weights of that
    step's own; and what the decoder's units are given at a step is a linear map of the
    code, of that step's own too. So no gradient has to come all the way through the
    steps. Networks whose code is the last state of the encoder, and is given to the
    decoder at every step alike, are slow to begin to learn.

    Parameters
    ----------
    cell : {"lstm", "gru"}, default="lstm"
        Kind of the units: long short-term memory, or gated recurrent units, which
        have three quarters of the weights.
    hidden_size : int, default=64
        Units of each layer, in each direction.
    n_layers : int, default=1
        Recurrent layers in the encoder, each of which reads what the one before says,
        and in the decoder.
    bidirectional : bool, default=False
        Whether as many units again go through the steps the other way, in the encoder
        and in the decoder. Takes twice the time.
    code_activation : str, default="auto"
        Activation of the code, as of :class:`Dense`. "auto" is "identity", and
        "sigmoid" where the objective needs a code in (0, 1).
    output_activation : {"auto", "identity", "sigmoid"}, default="auto"
        Activation of the reconstruction. "auto" is "sigmoid" where the
        training data lie in [0, 1] and span at least half of it, or the loss is
        "bce"; "identity" elsewhere.

    See Also
    --------
    Conv1d : Convolutions along the steps, which are faster.
    Dense : Fully connected layers, which see the steps as any other features.

    Notes
    -----
    A sample has the shape (n_steps, n_channels); one of shape (n_steps,) has a single
    channel. Three lengths are (n_planes, n_steps, n_channels): several arrays of the
    same steps and channels, such as values and flags that say which are missing.

    Sequences of different lengths see zeros after their ends, where nothing is learnt
    from; see :ref:`ragged_sequences`.

    Recurrent matrices start orthogonal, gate by gate, and the gates that let a state
    last have a bias of 1.

    On processors that multiply bfloat16, torch is quicker with "lstm" than with "gru"
    where a step of training is large.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", EMNLP 2014: gated recurrent units.
    Srivastava, Mansimov and Salakhutdinov, "Unsupervised learning of video
    representations using LSTMs", ICML 2015: recurrent autoencoders.
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014: orthogonal weights.
    Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015: the bias of gates.

    Examples
    --------
    >>> import torch
    >>> from skautoencoder.architectures import Recurrent
    >>> network = Recurrent(hidden_size=16).build((50, 3), code_size=4)
    >>> sequences = torch.zeros(5, 50 * 3)
    >>> network.encode(sequences).shape
    torch.Size([5, 4])
    >>> network(sequences).shape
    torch.Size([5, 150])
    """

    _parameter_constraints = {
        "cell": [StrOptions(set(_CELLS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "code_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "output_activation": [StrOptions({"auto", "identity", "sigmoid"})],
    }

    takes_ragged = True

    def __init__(
        self,
        cell: str = "lstm",
        *,
        hidden_size: int = 64,
        n_layers: int = 1,
        bidirectional: bool = False,
        code_activation: str = "auto",
        output_activation: str = "auto",
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.code_activation = code_activation
        self.output_activation = output_activation

    def grid_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the shape of the sequences that samples are."""
        return as_sequence_shape(sample_shape)

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        code_size = require_code_size(code_size, self)
        shape = as_sequence_shape(sample_shape)
        n_planes, n_steps, n_channels = shape
        n_inputs = n_planes * n_channels
        n_between = _STEP_SIZE * n_steps
        encoder = nn.Sequential(
            ToSteps(shape),
            Steps(self._layers(n_inputs), _STEP_SIZE),
            nn.Flatten(),
            *code_layers(n_between, code_size, code_activation),
        )
        decoder = nn.Sequential(
            linear(code_size, n_between),
            nn.Unflatten(1, (_STEP_SIZE, n_steps)),
            Steps(self._layers(_STEP_SIZE), n_inputs),
            FromSteps(shape),
        )
        return encoder, decoder

    def _layers(self, n_inputs: int) -> nn.LSTM | nn.GRU:
        """Return recurrent layers with their first weights."""
        # A grid search may hand over numpy's integers, which torch refuses.
        hidden_size = int(self.hidden_size)
        layers = _CELLS[self.cell](
            n_inputs,
            hidden_size,
            int(self.n_layers),
            batch_first=True,
            bidirectional=self.bidirectional,
        )
        for name, weight in layers.named_parameters():
            if weight.is_meta:  # only the shapes are wanted
                continue
            if name.startswith("bias"):
                nn.init.zeros_(weight)
                if name.startswith("bias_ih"):
                    # The gate that keeps the state: update of GRU, forget of LSTM.
                    nn.init.ones_(weight[hidden_size : 2 * hidden_size])
                continue
            recurrent = name.startswith("weight_hh")
            draw = nn.init.orthogonal_ if recurrent else nn.init.xavier_uniform_
            for gate in weight.detach().split(hidden_size):
                draw(gate)
        return layers
