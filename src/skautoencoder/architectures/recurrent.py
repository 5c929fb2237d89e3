"""Recurrent autoencoders for sequences."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._layers import ACTIVATIONS
from skautoencoder.architectures._sequence_layers import (
    FromSteps,
    Reader,
    ToSteps,
    Writer,
    as_sequence_shape,
)
from skautoencoder.architectures.dense import code_layers

_CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(Architecture):
    """A recurrent network that reads a sequence, and one that writes it backwards.

    The encoder goes through the steps of a sequence; the code is a linear map of the
    state in which it ends. The code sets the state in which the decoder starts, and is
    its input at every step. The decoder's first answer is the last step, the one that
    the encoder has seen most recently: from there the network learns the others.

    Parameters
    ----------
    cell : {"lstm", "gru"}, default="lstm"
        Kind of the units: long short-term memory, or gated recurrent units, which
        have three quarters of the weights.
    hidden_size : int, default=64
        Numbers in a state, of each layer and direction.
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

    Recurrent matrices start orthogonal, gate by gate, and the forget gates of "lstm"
    with a bias of 1, so that states last for long enough to learn from. Without
    the two, training begins with a long plateau.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", EMNLP 2014: gated recurrent units.
    Srivastava, Mansimov and Salakhutdinov, "Unsupervised learning of video
    representations using LSTMs", ICML 2015: decoding in reverse.
    Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015: the bias of forget gates.

    Examples
    --------
    >>>     >>> from skautoencoder.architectures import Recurrent
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
        reader, writer = self._layers(n_inputs), self._layers(code_size)
        n_directions = 2 if self.bidirectional else 1
        encoder = nn.Sequential(
            ToSteps(shape),
            Reader(reader),
            *code_layers(n_directions * reader.hidden_size, code_size, code_activation),
        )
        decoder = nn.Sequential(Writer(writer, n_inputs, n_steps), FromSteps(shape))
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
            if name.startswith("bias"):
                nn.init.zeros_(weight)
                if self.cell == "lstm" and name.startswith("bias_ih"):
                    nn.init.ones_(weight[hidden_size : 2 * hidden_size])
                continue
            recurrent = name.startswith("weight_hh")
            draw = nn.init.orthogonal_ if recurrent else nn.init.xavier_uniform_
            for gate in weight.detach().split(hidden_size):
                draw(gate)
        return layers
