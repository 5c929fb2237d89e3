"""What error messages of parameters suggest: similar names, and those of others."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    InvalidParameterError,
    StrOptions,
    make_constraint,
)
from torch import nn

from skautoencoder.architectures import Architecture, Conv, Dense, Recurrent


def public_name(name: str) -> str:
    """Return our name of another library's parameter, or `name` if it has none."""
    return _ALIASES.get(name, name)


def cure_of(name: str, own: list[str]) -> str:
    """Return a sentence with our equivalent of another library's parameter, or "".

    Parameters
    ----------
    name : str
        The other library's name.
    own : list of str
        Names of the estimator's parameters.
    """
    prefix = _PARTS.get(name)
    if prefix is not None:
        return f" Set {prefix}__{name}."
    cure, name = _CURES.get(name), public_name(name)
    cure = cure or _CURES.get(name)
    if cure and name not in own:
        return f" {cure}"
    kinds = (Dense, Conv, Recurrent)
    kind = next((k for k in kinds if name in k._get_param_names()), None)
    if kind is None or name in own:
        return ""
    example = f"architecture={kind.__name__}({name}=...)"
    if "architecture" not in own:
        return f" It is one of {kind.__name__}: AutoencoderTransformer({example})."
    return (
        f" It is one of the architecture: {example}; or "
        f"architecture={kind.__name__.lower()!r} and architecture__{name}=..."
    )


@contextmanager
def suggesting(owner: Any) -> Iterator[None]:
    """Let errors of an object's parameters suggest what an invalid value may stand for.

    Parameters
    ----------
    owner : object
        An estimator, an architecture or a penalty whose parameters the block checks.
    """
    try:
        yield
    except InvalidParameterError as error:
        for name, value in owner.get_params(deep=False).items():
            if f"The {name!r} parameter" in str(error):
                constraints = owner._parameter_constraints.get(name, [])
                hint = (
                    _cure_of_architecture(value)
                    if name == "architecture" and not isinstance(value, str)
                    else did_you_mean(value, _choices(constraints))
                )
                raise InvalidParameterError(f"{error}{hint}") from None
        raise


def _choices(constraints: list[Any]) -> list[str]:
    """Return the strings that a parameter accepts."""
    made = [make_constraint(constraint) for constraint in constraints]
    return [name for one in made if isinstance(one, StrOptions) for name in one.options]


def _cure_of_architecture(value: object) -> str:
    """Return a sentence with the architecture that an invalid value may stand for."""
    if isinstance(value, type) and issubclass(value, Architecture):
        return f" Pass an object, not the class: architecture={value.__name__}(...)."
    if isinstance(value, list | tuple | np.ndarray):
        sizes = tuple(value)
        return f" For layers of these sizes: Dense(hidden_layer_sizes={sizes!r})."
    is_module = isinstance(value, type) and issubclass(value, nn.Module)
    if is_module or isinstance(value, nn.Module):
        return " For modules of your own: architecture=Custom(encoder, decoder)."
    return ""


# Names in other libraries, and ours.
_ALIASES = {
    "absolute_error": "l1",
    "bilinear": "nearest",
    "binary_cross_entropy": "bce",
    "binary_crossentropy": "bce",
    "cnn": "conv",
    "contractive": "contraction",
    "criterion": "loss",
    "cross_entropy": "bce",
    "crossentropy": "bce",
    "dropout_rate": "dropout",
    "encoding_dim": "code_size",
    "epochs": "max_epochs",
    "gru": "recurrent",
    "hidden_dims": "hidden_layer_sizes",
    "hidden_neurons": "hidden_layer_sizes",
    "l1loss": "l1",
    "l2": "mse",
    "latent_dim": "code_size",
    "layers": "hidden_layer_sizes",
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "linear": "identity",
    "log_loss": "bce",
    "logistic": "sigmoid",
    "lstm": "recurrent",
    "mae": "l1",
    "max_iter": "max_epochs",
    "mean_absolute_error": "l1",
    "mean_squared_error": "mse",
    "mlp": "dense",
    "n_components": "code_size",
    "n_epochs": "max_epochs",
    "noise_factor": "noise_level",
    "num_epochs": "max_epochs",
    "rnn": "recurrent",
    "seed": "random_state",
    "smooth_l1": "huber",
    "smoothl1loss": "huber",
    "squared_error": "mse",
    "swish": "silu",
    "threshold": "contamination",
    "wae": "mmd",
    "wasserstein": "mmd",
}

_VALIDATION = (
    "Samples of your own: X_valid=..., of fit (not of AutoencoderImputer and "
    "SeriesOutlierDetector). Or set early_stopping=True, which keeps "
    "validation_fraction of the rows out of training."
)
_PENALTY = (
    "Penalties on codes are for transformers and denoisers: "
    "AutoencoderTransformer(penalty=...)."
)
_NOISE = "DenoisingAutoencoder(noise=...) learns to take noise away."
_THRESHOLD = (
    "AutoencoderOutlierDetector finds outliers; contamination=... says how many."
)
# Hints for parameters of other libraries that have no direct equivalent.
_CURES = {
    "alpha": (
        "A penalty on the weights is optimizer__weight_decay=...; one on the codes "
        "penalty='l1' and penalty__weight=..., of transformers and denoisers."
    ),
    "architecture": (
        "It is Conv here, and its parameters, such as channels=..., are the "
        "estimator's own. AutoencoderTransformer(architecture=...) takes others."
    ),
    "contamination": _THRESHOLD,
    "contraction_weight": _PENALTY,
    "decoder": "Modules of your own: architecture=Custom(encoder, decoder).",
    "encoder": "Modules of your own: architecture=Custom(encoder, decoder).",
    "loss": "A likelihood stands in its place: likelihood='bernoulli' or 'gaussian'.",
    "n_jobs": "A fit has none; searches do: AutoencoderSearchCV(..., n_jobs=2).",
    "noise": _NOISE,
    "noise_factor": _NOISE,
    "noise_level": _NOISE,
    "patience": "Set n_iter_no_change=..., with early_stopping=True.",
    "penalty": _PENALTY,
    "sample_weight": "Rows have no weights here; repeat those that weigh more.",
    "eval_set": _VALIDATION,
    "sparsity": _PENALTY,
    "threshold": _THRESHOLD,
    "validation_data": _VALIDATION,
    "validation_split": _VALIDATION,
    "X_valid": "It is one of fit, which measures valid_loss on these samples.",
}
# Names of torch.optim that are not among ours, and why.
_UNFIT = {
    "muon": (
        "It takes weights that are matrices and no others. For Custom modules of "
        "such weights pass the class, torch.optim.Muon. Else use 'adam'."
    ),
    "sparseadam": (
        "It takes sparse gradients only, which these networks do not have. Use 'adam'."
    ),
}
# Parameters of optimizers and batches, and their prefixes.
_PARTS = {
    "betas": "optimizer",
    "drop_last": "iterator_train",
    "eps": "optimizer",
    "momentum": "optimizer",
    "nesterov": "optimizer",
    "shuffle": "iterator_train",
    "weight_decay": "optimizer",
}


def did_you_mean(value: object, known: list[str]) -> str:
    """Return a sentence with the most similar known name, or why there is none, or "".

    Classes and objects, such as losses of torch, are compared by their class's name.
    """
    name = value if isinstance(value, str) else _class_name(value)
    lowered = name.lower()
    if reason := _UNFIT.get(lowered.replace("_", "")):
        return f" {reason}"
    near = [k for k in known if sorted(k) == sorted(lowered)]
    near += [k for k in known if k == _ALIASES.get(lowered)]
    near += [k for k in known if len(k) > 2 and lowered.startswith(k)]
    near += difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _class_name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def require_as_before(name: str, value: Any, before: Any) -> None:
    """Raise if a warm start is asked for with another parameter of the data.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        Its value, or "auto".
    before : object
        Its value in the fit that goes on.
    """
    if value not in ("auto", before):
        raise ValueError(
            "warm_start=True continues with the network of the fit before, which had "
            f"{name}={before!r}, but now it is {value!r}. Set warm_start=False or put "
            "it back."
        )
