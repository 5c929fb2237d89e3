"""The base class of the architectures."""

from __future__ import annotations

import copy
import math
from abc import ABCMeta, abstractmethod
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import validate_parameter_constraints
from torch import Tensor, nn

from skautoencoder.architectures._layers import TopK
from skautoencoder.architectures._ordered import (
    SHARE_OF_WIDTH,
    OrderedDecoder,
    OrderedEncoder,
    leading_sizes,
)
from skautoencoder.architectures._ragged import RaggedDecoder, RaggedEncoder
from skautoencoder.architectures._sequence_layers import as_sequence_shape
from skautoencoder.architectures.network import Network
from skautoencoder.architectures.variational import Bound, VariationalNetwork

# Layers of units are not made narrower than this.
_FEWEST_UNITS = 128


def cached_param_names(cls: Any) -> list[str]:
    """Return the names of a class's parameters, cached.

    scikit-learn reads them from the constructor's signature at each call, six times per
    fit; each takes as long as half a step of training on a small table.
    """
    if "_param_names" not in vars(cls):
        cls._param_names = BaseEstimator._get_param_names.__func__(cls)
    return list(cls._param_names)


class Architecture(BaseEstimator, metaclass=ABCMeta):
    """Base class of the architectures.

    An architecture is a description: it holds nothing but its parameters, so
    that it can be cloned and searched over (``architecture__channels``), and
    :meth:`build` makes a fresh network from it.

    A subclass implements `_build_encoder_decoder`.
    """

    # The module that users import it from, and that errors about `architecture` name.
    __module__ = "skautoencoder.architectures"

    _get_param_names = classmethod(cached_param_names)
    _parameter_constraints: dict[str, list[Any]] = {}

    # Whether rows are standardised before the network sees them. False for modules of
    # the user's own, which see copies of the rows as they are.
    standardizes = True

    # Whether decoders of ordered codes may read the first hidden layers of others.
    _has_laterals = False

    # Whether it has a network for sequences of different lengths.
    takes_ragged = False

    #: Activation of the decoder's output; "auto" depends on the data.
    output_activation: str = "auto"

    def build(
        self,
        sample_shape: tuple[int, ...],
        code_size: int | None,
        *,
        output_activation: str = "identity",
        code_activation: str = "identity",
        code_activity: float | None = None,
        top_k: bool = False,
        n_nonzero_coefs: int | None = None,
        ragged: bool = False,
        ordered: bool = False,
        laterals: bool = False,
        n_kept: int | None = None,
        least: tuple[int, ...] | None = None,
        center: Tensor | None = None,
        spread: float = 1.0,
    ) -> Network:
        """Make a network with fresh weights.

        Weights are drawn from torch's global generator, which the caller seeds.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample: (n_features,), (height, width), (n_channels,
            height, width) or (n_steps, n_channels).
        code_size : int or None
            How many numbers the code has.
        output_activation : {"identity", "sigmoid"}, default="identity"
            What ``output_activation="auto"`` stands for on these data.
        code_activation : str, default="identity"
            What ``code_activation="auto"`` stands for with this objective.
        code_activity : float in (0, 1), default=None
            Mean at which the units of a sigmoid code start. None: not set.
        top_k : bool, default=False
            Whether all but the largest numbers of each code are set to zero.
        n_nonzero_coefs : int, default=None
            How many are kept. None: a tenth of the code, at least one.
        ragged : bool, default=False
            Whether samples are sequences of different lengths, which are NaN after
            their end. The last number of a code then is the length, as a share of that
            of `sample_shape`.
        ordered : bool, default=False
            Whether leading numbers of a code are codes themselves.
        laterals : bool, default=False
            Whether decoders of ordered codes read the first hidden layers of those of
            smaller codes, where the architecture allows it. Files of earlier versions
            have networks without.
        n_kept : int, default=None
            How many numbers of an ordered code are kept. None: all.
        least : tuple of int, default=None
            How many numbers of an ordered code each decoder needs at least. None: one
            more than the decoder before it takes.
        center : Tensor of shape (n_features,), default=None
            See :class:`Network`.
        spread : float, default=1.0
            See :class:`Network`.

        Returns
        -------
        network : Network
            The network, on the CPU, in training mode.
        """
        self.check()
        if getattr(self, "code_activation", "auto") != "auto":
            code_activation = self.code_activation
        if self.output_activation != "auto":
            output_activation = self.output_activation
        if ragged:
            code_size = self._without_length(code_size)
        if ordered:
            encoder, decoder = self._build_ordered(
                sample_shape,
                code_size,
                code_activation,
                n_kept,
                least,
                has_laterals=laterals and self._has_laterals,
            )
        else:
            encoder, decoder = self._build_encoder_decoder(
                sample_shape, code_size, code_activation
            )
        if code_activity is not None and code_activation == "sigmoid":
            self._start_code_at(code_activity, encoder)
        if top_k:
            has_memory = not any(weight.is_meta for weight in encoder.parameters())
            actual_size = code_size
            if has_memory or actual_size is None:
                actual_size = _code_size_of(encoder, sample_shape)
            encoder = nn.Sequential(encoder, TopK(actual_size, n_nonzero_coefs))
        if ragged:
            shape = as_sequence_shape(sample_shape)
            encoder = RaggedEncoder(shape, encoder)
            decoder = RaggedDecoder(shape, decoder)
        return Network(
            encoder,
            decoder,
            output_activation=output_activation,
            center=center if output_activation == "sigmoid" else None,
            spread=spread,
            copies_rows=not self.standardizes,
        )

    def _build_ordered(
        self,
        sample_shape: tuple[int, ...],
        code_size: int | None,
        code_activation: str,
        n_kept: int | None,
        least: tuple[int, ...] | None,
        *,
        has_laterals: bool,
    ) -> tuple[nn.Module, nn.Module]:
        """Return an encoder to ordered codes, and a decoder of their leading parts."""
        if code_size is None:
            raise ValueError(
                "ordered=True needs a code of some size, but code_size=None keeps the "
                "spatial map. Give the number of values, such as code_size=32."
            )
        if getattr(self, "tied_weights", False):
            raise ValueError(
                "ordered=True has a decoder for each of several sizes, which cannot "
                "share the encoder's weights. Leave tied_weights at False."
            )
        sizes = leading_sizes(code_size)
        encoder, whole = self._build_encoder_decoder(
            sample_shape, code_size, code_activation
        )
        self._check_units(encoder, sample_shape, code_size)
        part = self.narrowed(SHARE_OF_WIDTH)
        decoders = []
        for size in sizes[:-1]:
            # Both halves of a network have the same code size.
            half, decoder = part._build_encoder_decoder(
                sample_shape, size, code_activation
            )
            self._check_units(half, sample_shape, size)
            decoders.append(decoder)
        n_features = math.prod(sample_shape)
        is_free = code_activation == "identity"
        has_lines = is_free and not getattr(self, "code_batch_norm", False)
        return (
            OrderedEncoder(
                encoder,
                n_features,
                code_size,
                has_lines=has_lines,
                n_kept=n_kept or code_size,
            ),
            OrderedDecoder(
                [*decoders, whole],
                sizes,
                n_features,
                has_lines=has_lines,
                has_laterals=has_laterals,
                least=least,
            ),
        )

    def narrowed(self, share: float) -> Self:
        """Return an architecture whose layers have a share of the width.

        Parameters
        ----------
        share : float in (0, 1]
            The share.

        Returns
        -------
        architecture : Architecture
            A copy with narrower layers; the same where layers have no parameter for
            their width.
        """
        narrower = clone(self)
        for name, value in self.get_params(deep=False).items():
            if name == "channels":
                narrower.set_params(
                    channels=tuple(max(round(int(n) * share), 1) for n in value)
                )
            elif name == "hidden_layer_sizes":
                sizes = tuple(_narrower(n, share) for n in value)
                narrower.set_params(hidden_layer_sizes=sizes)
            elif name == "hidden_size":
                narrower.set_params(hidden_size=_narrower(value, share))
        return narrower

    def _check_units(
        self, encoder: nn.Module, sample_shape: tuple[int, ...], n_units: int
    ) -> None:
        """Raise if an encoder does not return the units that it is asked for."""
        if any(weight.is_meta for weight in encoder.parameters()):
            return
        found = _code_size_of(encoder, sample_shape)
        if found != n_units:
            raise ValueError(
                f"ordered=True asks the encoder of {type(self).__name__} for codes of "
                f"{n_units} numbers, but they have {found}. Make modules of your own "
                "with functions of code_size."
            )

    def build_variational(
        self,
        sample_shape: tuple[int, ...],
        code_size: int,
        likelihood: nn.Module,
        bound: Bound,
        *,
        n_classes: int = 0,
        center: Tensor | None = None,
        spread: float = 1.0,
    ) -> VariationalNetwork:
        """Make a network whose encoder returns a distribution of codes.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample.
        code_size : int
            How many numbers the code has. The encoder returns twice as many.
        likelihood : torch.nn.Module
            Distribution of rows whose parameters are the decoder's outputs.
        bound : callable
            See :class:`VariationalNetwork`.
        n_classes : int, default=0
            See :class:`VariationalNetwork`.
        center : Tensor of shape (n_features,), default=None
            See :class:`Network`.
        spread : float, default=1.0
            See :class:`Network`.

        Returns
        -------
        network : VariationalNetwork
            The network, on the CPU, in training mode.
        """
        self.check()
        for name in ("code_activation", "code_batch_norm", "tied_weights"):
            value = getattr(self, name, False)
            if value not in (False, "auto", "identity"):
                raise ValueError(
                    f"{name}={value!r} of {type(self).__name__} is for codes that are "
                    "numbers; here a code is a distribution. Leave it at its default."
                )
        encoder, decoder = self._build_variational(sample_shape, code_size, n_classes)
        return VariationalNetwork(
            encoder,
            decoder,
            likelihood,
            bound,
            n_classes=n_classes,
            center=center,
            spread=spread,
            copies_rows=not self.standardizes,
        )

    def _build_variational(
        self, sample_shape: tuple[int, ...], code_size: int, n_classes: int
    ) -> tuple[nn.Module, nn.Module]:
        """Return an encoder to 2 * code_size numbers, and a decoder.

        They are halves of two networks, as both halves of one have the same code size.
        """
        encoder, _ = self._build_encoder_decoder(
            sample_shape, 2 * code_size, "identity"
        )
        _, decoder = self._build_encoder_decoder(
            sample_shape, code_size + n_classes, "identity"
        )
        return encoder, decoder

    def _without_length(self, code_size: int | None) -> int:
        """Return how many numbers of a code are learnt if one of them is the length."""
        if not self.takes_ragged:
            raise ValueError(
                f"{type(self).__name__} cannot take sequences of different lengths. "
                "Use Conv1d or Recurrent."
            )
        n_learnt = require_code_size(code_size, self) - 1
        if n_learnt < 1:
            raise ValueError(
                f"code_size={code_size} leaves no number to learn: for sequences of "
                "different lengths the last number of a code is the length. Set "
                "code_size to 2 or more."
            )
        return n_learnt

    def _start_code_at(self, activity: float, encoder: nn.Module) -> None:
        """Set the bias of a sigmoid code so that its units start near a given mean.

        From one half, training would need about a thousand steps to move the bias.
        """
        kinds = (nn.Linear, nn.Conv2d)
        layers = [m for m in encoder.modules() if isinstance(m, kinds)]
        if layers and layers[-1].bias is not None:
            nn.init.constant_(layers[-1].bias, math.log(activity / (1 - activity)))

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        validate_parameter_constraints(
            self._parameter_constraints,
            self.get_params(deep=False),
            caller_name=type(self).__name__,
        )

    def grid_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Return the shape of the grids on which the network sees what is near what.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample.

        Returns
        -------
        grid_shape : tuple of int or None
            (n_channels, height, width). None: the features are in no order.
        """
        return None

    @abstractmethod
    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        """Return an encoder of flat rows and a decoder to flat rows."""


def _narrower(n_units: int, share: float) -> int:
    """Return a share of a number of units, but not few."""
    return max(round(int(n_units) * share), min(int(n_units), _FEWEST_UNITS))


def _code_size_of(encoder: nn.Module, sample_shape: tuple[int, ...]) -> int:
    """Return the size of an encoder's codes, found by encoding zeros."""
    with torch.no_grad():
        probe = copy.deepcopy(encoder).eval()
        return int(probe(torch.zeros(2, math.prod(sample_shape))).shape[1])


def require_code_size(code_size: int | None, architecture: Architecture) -> int:
    """Return `code_size`, or raise if it is None."""
    if code_size is None:
        raise ValueError(
            f"code_size=None has no meaning for {architecture!r}: give the number "
            "of values in the code, such as code_size=10. (None keeps the spatial "
            "map of a Conv without hidden layers as the code.)"
        )
    return code_size
