"""Architectures: encoders and decoders, in plain torch."""

from skautoencoder.architectures._architecture import Architecture
from skautoencoder.architectures.conv import Conv
from skautoencoder.architectures.conv1d import Conv1d
from skautoencoder.architectures.custom import Custom
from skautoencoder.architectures.dense import Dense
from skautoencoder.architectures.network import Network
from skautoencoder.architectures.recurrent import Recurrent
from skautoencoder.architectures.variational import VariationalNetwork

# The names that architecture="..." accepts.
ARCHITECTURES: dict[str, type[Architecture]] = {
    "conv": Conv,
    "conv1d": Conv1d,
    "dense": Dense,
    "recurrent": Recurrent,
}

__all__ = [
    "Architecture",
    "Conv",
    "Conv1d",
    "Custom",
    "Dense",
    "Network",
    "Recurrent",
    "VariationalNetwork",
]
