"""The objective for imputation: a loss on the masked entries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skautoencoder.objectives.losses import LOSSES, check_outputs, masked_loss
from skautoencoder.objectives.objective import EncoderDecoder
from skautoencoder.objectives.random_generators import generator_for


class MaskedObjective(nn.Module):
    """Reconstruction loss on chosen entries of rows with holes.

    The network's input is the values of a row, with something plausible in the holes,
    followed by as many flags, which are 1 in a hole and 0 elsewhere. Its output has the
    same length; only the first half, the values, enters the loss.

    Parameters
    ----------
    loss : {"mse", "l1", "huber", "bce"}, default="mse"
        The reconstruction loss, see :func:`reconstruction_loss`.
    hole_shape : tuple of int or None, default=None
        Shape (n_channels, height, width) of the images in which `prepare` makes
        further holes. None: no further holes are made.
    background : Tensor of shape (n_features,) or None, default=None
        Values for further holes. None: 0.
    """

    #: Whether a prepared batch may be divided into shards.
    splits: bool = True

    background: Tensor | None

    def __init__(
        self,
        loss: str = "mse",
        *,
        hole_shape: tuple[int, int, int] | None = None,
        background: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.hole_shape = hole_shape
        self.register_buffer("background", background)

    def check(self, network: EncoderDecoder, rows: Tensor) -> None:
        """Raise if the loss is not defined for the network's outputs."""
        if self.loss == "bce":
            check_outputs(self.loss, network.decode(network.encode(rows)))

    def prepare(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Make further holes in images, as :func:`draw_mask` does.

        Parameters
        ----------
        network : EncoderDecoder
            The network in training. In evaluation mode holes are always the same, so
            that its losses can be compared.
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags of a whole batch: holes are copied from one image of it to
            another.
        target : Tensor of shape (n_samples, n_features)
            The wanted outputs; NaN for entries that are not part of the loss.

        Returns
        -------
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags, with further holes.
        target : Tensor of shape (n_samples, n_features)
            The values in the further holes; NaN elsewhere.
        """
        if self.hole_shape is None:
            return rows, target
        values, missing = rows.chunk(2, dim=1)
        generator = generator_for(network, torch.device("cpu"))
        holes = draw_mask(missing > 0, self.hole_shape, generator)
        background = (
            values.new_zeros(()) if self.background is None else self.background
        )
        values = torch.where(holes, background, values)
        rows = torch.cat([values, missing.maximum(holes.to(rows.dtype))], dim=1)
        return rows, torch.where(holes, target, torch.nan)

    def weigh(self, target: Tensor) -> float:
        """Return over how many entries of a shard the objective is the mean."""
        return float((~target.isnan()).sum())

    def forward(self, network: EncoderDecoder, rows: Tensor, target: Tensor) -> Tensor:
        """Return the objective on a prepared batch.

        Parameters
        ----------
        network : EncoderDecoder
            The network in training.
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags.
        target : Tensor of shape (n_samples, n_features)
            The wanted outputs; NaN for entries that are not part of the loss.

        Returns
        -------
        objective : Tensor of shape ()
            The mean loss over the entries that are not NaN; 0 if there are none.
        """
        logits = network.decode_logits(network.encode(rows))
        return masked_loss(
            self.loss,
            logits[:, : target.shape[1]],
            target,
            network.output_activation,
        )

    def loss_of_answers(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the objective on a batch that is not prepared."""
        rows, target = self.prepare(network, rows, target)
        return self(network, rows, target)

    def loss_of_mean(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the loss if the network's output were the mean target for all rows."""
        if self.hole_shape is None:
            # In tables the outputs are corrections, whose weight the imputer chooses.
            return target.new_tensor(torch.inf)
        asked = ~target.isnan()
        mean = target.nanmean(dim=0).expand_as(target)
        return LOSSES[self.loss](mean[asked], target[asked])


def draw_mask(
    missing: Tensor,
    image_shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return holes like those that the images have.

    Each image gets the holes of an image in the batch that has any. Pixels that are
    missing in all images do not count as holes, as there is nothing to learn them from,
    and images without any observed pixel are not copied from. If there is no hole to
    copy, or if it would leave no pixel of an image, a rectangle at a random position is
    used, whose sides are a quarter to three fifths of the image's.

    Parameters
    ----------
    missing : Tensor of bool of shape (n_samples, n_features)
        Where the images have holes.
    image_shape : tuple of int
        (n_channels, height, width) of an image.
    generator : torch.Generator, default=None
        The generator. None: torch's default generator.

    Returns
    -------
    holes : Tensor of bool of shape (n_samples, n_features)
        Where to make holes.
    """
    n_samples, device = len(missing), missing.device
    lends = (missing & ~missing.all(dim=0)).any(dim=1) & ~missing.all(dim=1)
    lenders = lends.nonzero()[:, 0]
    if not len(lenders):
        return _rectangles(n_samples, image_shape, generator).to(device)
    # In turn, in a random order, so that each image's holes are used equally often.
    order = torch.randperm(n_samples, generator=generator).to(device)
    holes = missing[lenders[order % len(lenders)]]
    emptied = (holes | missing).all(dim=1).nonzero()[:, 0]
    if len(emptied):
        instead = _rectangles(len(emptied), image_shape, generator)
        holes[emptied] = instead.to(device)
    return holes


def _rectangles(
    n_samples: int,
    image_shape: tuple[int, int, int],
    generator: torch.Generator | None,
) -> Tensor:
    """Return flat masks of shape (n_samples, n_features) with one rectangle each."""
    n_channels, *lengths = image_shape
    inside = []
    for length in lengths:
        shortest = max(length // 4, 1)
        longest = max(round(length * 0.6), shortest)
        sides = (shortest, longest + 1)
        side = torch.randint(*sides, (n_samples, 1), generator=generator)
        # Uniform over all positions that fit, whatever the length of the side.
        chance = torch.rand(n_samples, 1, generator=generator)
        first = (chance * (length - side + 1)).floor()
        position = torch.arange(length)
        inside.append((position >= first) & (position < first + side))
    rectangle = inside[0][:, :, None] & inside[1][:, None, :]
    return rectangle[:, None].expand(-1, n_channels, -1, -1).reshape(n_samples, -1)
