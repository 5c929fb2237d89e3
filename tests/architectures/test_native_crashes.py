"""Layers in processes of their own, where the death of one is a failure.

On processors without AVX-512, torch has run into memory faults of its kernels. What
another processor sees is shown by ONEDNN_MAX_CPU_ISA, which is read once a process.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from ctypes.util import find_library

import pytest
import torch

from skautoencoder.architectures import Architecture, Conv, Conv1d

# Those without AVX-512 have no more than AVX2 themselves.
INSTRUCTIONS = ["own"]
if torch.backends.cpu.get_cpu_capability() == "AVX512":
    INSTRUCTIONS.append("AVX2")

_LEARN = """
from itertools import product

import torch
from torch import nn

from skautoencoder.architectures import Conv, Conv1d, Custom, Recurrent

def learn(network, n_features):
    network(torch.rand(4, n_features)).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())

class ChannelsFirst(nn.Module):
    def forward(self, images):
        return images.permute(0, 3, 1, 2)

torch.set_num_threads(1)
torch.manual_seed(0)
# Images of 8 × 9 pixels are no substitute: the fault of strided 1 × 1 convolutions
# shows where both sizes are even.
for n_channels, (height, width) in product(range(1, 17), [(8, 8), (9, 9)]):
    sample_shape, n_features = (n_channels, height, width), n_channels * height * width
    for kernel_size, (downsampling, upsampling) in product(
        (1, 2, 3), (("stride", "transpose"), ("max_pool", "nearest"))
    ):
        network = Conv(
            (n_channels, 17 - n_channels),
            kernel_size=kernel_size,
            residual=True,
            downsampling=downsampling,
            upsampling=upsampling,
            upsampling_kernel_size=kernel_size + 1,
            skip_connections=True,
        ).build(sample_shape, None)
        learn(network, n_features)
    for kernel_size in (1, 3):
        encoder = nn.Conv2d(n_channels, 12, kernel_size, 2, kernel_size // 2)
        decoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(n_features))
        encoder.to(memory_format=torch.channels_last)
        decoder(encoder(torch.rand(1, *sample_shape)))
        learn(Custom(encoder, decoder).build(sample_shape, None), n_features)
        # Images whose channels come last, which the module itself puts first.
        shape = height, width, n_channels
        permuted = nn.Sequential(ChannelsFirst(), encoder)
        learn(Custom(permuted, decoder).build(shape, None), n_features)
    for n_steps in (8, 9):
        shape, n_features = (n_steps, n_channels), n_steps * n_channels
        for kernel_size in (3, 5):
            channels = n_channels, 17 - n_channels
            architecture = Conv1d(channels, kernel_size=kernel_size)
            learn(architecture.build(shape, 2), n_features)
    for cell in ("lstm", "gru"):
        network = Recurrent(cell, hidden_size=n_channels).build(shape, 2)
        learn(network, n_features)
        with torch.autocast("cpu", torch.bfloat16):
            learn(network, n_features)
print("alive")
"""


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_every_layer_learns_on_every_processor(instructions: str) -> None:
    environment = dict(os.environ)
    if instructions != "own":
        environment["ONEDNN_MAX_CPU_ISA"] = instructions
    if checked := find_library("c_malloc_debug"):
        # glibc's checks find out what was written past a buffer when it is freed.
        environment["LD_PRELOAD"] = checked
        environment["GLIBC_TUNABLES"] = "glibc.malloc.check=3"
    done = subprocess.run(
        [sys.executable, "-c", _LEARN],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "alive\n"


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (Conv(), (9, 4)),
        (Conv(kernel_size=2, residual=True), (9, 1)),
        (Conv(upsampling_kernel_size=3, upsampling="transpose"), (3, 9, 2)),
        (Conv1d(), (3, 2)),
        (Conv1d((16, 32), kernel_size=3), (1, 4)),
    ],
)
def test_gradients_of_narrow_samples_are_defined_in_bfloat16(
    architecture: Architecture, shape: tuple[int, ...]
) -> None:
    """Processors with AVX-512 leave memory as it was with a stride along one column."""
    network = architecture.build(shape, 2)
    rows = torch.rand(8, math.prod(shape))
    for _ in range(4):
        # What torch gets next is not clean.
        for n_numbers in (10, 1000, 10**5, 10**6):
            torch.full((n_numbers,), torch.nan)
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(rows).float().square().mean()
        loss.backward()
        for name, weight in network.named_parameters():
            assert weight.grad is not None
            assert weight.grad.isfinite().all(), name
