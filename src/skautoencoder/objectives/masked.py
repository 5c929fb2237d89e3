"""The objective of a network that fills holes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skautoencoder.objectives.losses import LOSSES, check_outputs, reconstruction_loss
from skautoencoder.objectives.objective import EncoderDecoder


class MaskedObjective(nn.Module):
    """Reconstruction loss on chosen entries of rows with holes.

    A row is shown as its values, with something plausible in the holes, followed
    by as many flags, which are 1 in a hole and 0 elsewhere. The network answers
    with as many numbers, of which the first half counts: the values.

    Parameters
    ----------
    loss : {"mse", "l1", "huber", "bce"}, default="mse"
        The reconstruction loss, see :func:`reconstruction_loss`.
    hole_shape : tuple of int or None, default=None
        Shape (n_channels, height, width) of the images in which `prepare` makes
        further holes. None: the rows have all their holes.
    background : Tensor of shape (n_features,) or None, default=None
        What is put into further holes. None: 0.
    """

    #: Whether the parts of a prepared batch can be asked for.
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
        """Raise if a network answers to rows with what the loss cannot compare."""
        if self.loss == "bce":
            check_outputs(self.loss, network.decode(network.encode(rows)))

    def prepare(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Make further holes in images, as :func:`draw_holes` does.

        Parameters
        ----------
        network : EncoderDecoder
            The network that is learning. For one in evaluation mode holes are always
            the same, so that its losses can be compared.
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags of a whole batch, within which images lend each other
            their holes.
        target : Tensor of shape (n_samples, n_features)
            What the network should answer with; NaN where nothing is asked.

        Returns
        -------
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags, with further holes.
        target : Tensor of shape (n_samples, n_features)
            What is in these holes alone.
        """
        if self.hole_shape is None:
            return rows, target
        values, missing = rows.chunk(2, dim=1)
        generator = None if network.training else torch.Generator().manual_seed(0)
        holes = draw_holes(missing > 0, self.hole_shape, generator)
        background = (
            values.new_zeros(()) if self.background is None else self.background
        )
        values = torch.where(holes, background, values)
        rows = torch.cat([values, missing.maximum(holes.to(rows.dtype))], dim=1)
        return rows, torch.where(holes, target, torch.nan)

    def weigh(self, target: Tensor) -> float:
        """Return how many entries of a part of a batch the objective is a mean over."""
        return float((~target.isnan()).sum())

    def forward(self, network: EncoderDecoder, rows: Tensor, target: Tensor) -> Tensor:
        """Return the objective on a prepared batch.

        Parameters
        ----------
        network : EncoderDecoder
            The network that is learning.
        rows : Tensor of shape (n_samples, 2 * n_features)
            Values and flags.
        target : Tensor of shape (n_samples, n_features)
            What the network should answer with; NaN where nothing is asked.

        Returns
        -------
        objective : Tensor of shape ()
            The mean loss over the entries that are asked for; 0 if there are none.
        """
        asked = ~target.isnan()
        logits = network.decode_logits(network.encode(rows))
        logits = logits[:, : target.shape[1]]
        n_asked = asked.sum()
        if not n_asked:
            return logits.sum() * 0.0
        if network.output_activation == "identity" and self.loss != "bce":
            # Zeros against zeros cost nothing; to pick entries out takes longer.
            logits = torch.where(asked, logits, 0.0)
            target = torch.where(asked, target, 0.0)
            return LOSSES[self.loss](logits, target) * (asked.numel() / n_asked)
        return reconstruction_loss(
            self.loss, logits[asked], target[asked], network.output_activation
        )

    def loss_of_answers(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the objective on rows that are not prepared."""
        rows, target = self.prepare(network, rows, target)
        return self(network, rows, target)

    def loss_of_mean(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the loss of a network that answered with the mean target to all."""
        if self.hole_shape is None:
            # A table's answers are corrections; whether they help is judged elsewhere.
            return target.new_tensor(torch.inf)
        asked = ~target.isnan()
        mean = target.nanmean(dim=0).expand_as(target)
        return LOSSES[self.loss](mean[asked], target[asked])


def draw_holes(
    missing: Tensor,
    image_shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return holes like those that the images have.

    Each image borrows the holes of one of those in the batch that have any. Pixels
    that all images lack are not counted as holes, as nobody could learn to fill them,
    and an image without any pixels lends nothing. Where there is no hole to borrow, or
    where it would leave nothing of an image, there is a rectangle at a random place,
    whose sides are a quarter to three fifths of the image's.

    Parameters
    ----------
    missing : Tensor of bool of shape (n_samples, n_features)
        Where the images have holes.
    image_shape : tuple of int
        (n_channels, height, width) of an image.
    generator : torch.Generator, default=None
        What is drawn from. None: torch's default generator.

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
    # In turn, in a random order: as many images borrow from one as from another.
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
        # Places are drawn evenly, whatever the length of the side.
        chance = torch.rand(n_samples, 1, generator=generator)
        first = (chance * (length - side + 1)).floor()
        position = torch.arange(length)
        inside.append((position >= first) & (position < first + side))
    rectangle = inside[0][:, :, None] & inside[1][:, None, :]
    return rectangle[:, None].expand(-1, n_channels, -1, -1).reshape(n_samples, -1)
