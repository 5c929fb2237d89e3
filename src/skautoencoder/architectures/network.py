"""The torch module that every architecture builds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skautoencoder.architectures._calls import call
from skautoencoder.architectures._thread_safety import can_shard, is_thread_safe

# Means of 0 and 1 are moved by this: for a pixel that is always black the initial logit
# would be minus infinity, where the gradient is zero.
_MEAN_MARGIN = 0.01


class Network(nn.Module):
    """An encoder and a decoder, from flat rows to flat rows.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps rows of shape (n_samples, n_features) to codes of shape
        (n_samples, code_size).
    decoder : torch.nn.Module
        Maps codes of shape (n_samples, code_size) to rows of shape
        (n_samples, n_features), before the output activation.
    output_activation : {"identity", "sigmoid"}, default="identity"
        What is applied to the decoder's output.
    center : Tensor of shape (n_features,), default=None
        The mean row of data in [0, 1]. The encoder then sees rows centred on
        it, and the untrained network answers roughly with the mean row. A
        network that starts there has nothing to gain from the constant output
        into which sigmoid autoencoders are known to collapse.
    spread : float, default=1.0
        What centred rows are divided by before the encoder sees them. Unused
        without `center`.
    copies_rows : bool, default=False
        Whether the encoder sees a copy of the rows. One that computes in place would
        change the targets otherwise, and the user's data.
    """

    center: Tensor | None
    shift: Tensor
    output_offset: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        output_activation: str = "identity",
        center: Tensor | None = None,
        spread: float = 1.0,
        copies_rows: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = output_activation
        self.spread = spread
        self.copies_rows = copies_rows
        logits = None
        if center is not None:
            logits = torch.logit(center.clamp(_MEAN_MARGIN, 1 - _MEAN_MARGIN))
        shift = None if center is None else -center / spread
        self.register_buffer("center", center)
        self.register_buffer("shift", shift)
        self.register_buffer("output_offset", logits)

    def extra_repr(self) -> str:
        """Return what `repr` shows besides the submodules."""
        return f"output_activation={self.output_activation!r}"

    @property
    def input_scale(self) -> float:
        """The factor by which rows are multiplied before the encoder sees them."""
        return 1.0 if self.center is None else 1 / self.spread

    def encoder_input(self, rows: Tensor) -> Tensor:
        """Return `rows` as the encoder sees them."""
        if self.center is None:
            return rows.clone() if self.copies_rows else rows
        # (rows - center) / spread in one pass over memory
        return torch.add(self.shift, rows, alpha=self.input_scale)

    def encode(self, rows: Tensor) -> Tensor:
        """Return the codes of `rows`."""
        return call(self.encoder, self.encoder_input(rows))

    def decode_logits(self, codes: Tensor) -> Tensor:
        """Return the decoder's output before the output activation."""
        # Under autocast the output may be bfloat16; losses and sigmoids need float32.
        return self.with_offset(call(self.decoder, codes).float())

    def with_offset(self, outputs: Tensor) -> Tensor:
        """Return the decoder's outputs plus the logits of the mean row."""
        return outputs if self.output_offset is None else outputs + self.output_offset

    def can_shard(self) -> bool:
        """Return whether a batch may be divided into shards in training."""
        return not self.is_changed() and can_shard(self.encoder, self.decoder)

    def is_thread_safe(self) -> bool:
        """Return whether several threads may call it in evaluation mode."""
        return not self.is_changed() and is_thread_safe(self.encoder, self.decoder)

    def is_changed(self) -> bool:
        """Return whether a method was replaced on this object."""
        return bool(vars(self).keys() & {"encode", "encoder_input", "decode_logits"})

    def activate(self, logits: Tensor) -> Tensor:
        """Apply the output activation."""
        return logits.sigmoid() if self.output_activation == "sigmoid" else logits

    def decode(self, codes: Tensor) -> Tensor:
        """Return the rows that `codes` stand for."""
        return self.activate(self.decode_logits(codes))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the reconstruction of `rows`."""
        return self.decode(self.encode(rows))
