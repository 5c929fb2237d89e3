"""Fitted estimators as ONNX models."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.deployment.answers import METHODS, Answer
from skautoencoder.sampling import VAESampler
from skautoencoder.sampling.row_conversion import ArrayFormat
from skautoencoder.training import evaluating, one_thread

# The version of ONNX's operators that is written: current runtimes have it, and all
# releases of torch that this package supports write it.
OPSET = 17

# Folders of modules that are known to be exported for any number of samples: those of
# this package and of torch, whose recurrent layers `_let_states_start_at_zero` mends.
_KNOWN = (f"{Path(__file__).parents[1]}{os.sep}", f"{Path(nn.__file__).parent}{os.sep}")


def to_onnx(estimator: Any, method: str = "transform") -> Any:
    """Return a fitted estimator's method as an ONNX model.

    The model is one of ONNX's standard operators: it runs in onnxruntime and others,
    without Python, torch or this package. Scaling and threshold are part of it.

    Parameters
    ----------
    estimator : estimator object
        A fitted transformer, denoiser or outlier detector; a VAESampler of arrays for
        its codes. For a Pipeline see
        :func:`~skautoencoder.deployment.register_converters`.
    method : {"transform", "inverse_transform", "predict", "score_samples", \
            "decision_function"}, default="transform"
        The method; one that the estimator has.

    Returns
    -------
    model : onnx.ModelProto
        A model with one input, "X": float32 samples in the shape that `fit` saw, any
        number of them (codes, for ``"inverse_transform"``). One output, with the
        method's name: float32, or int64 for the labels of a detector's ``predict``.

    Raises
    ------
    ImportError
        If onnx is not installed (``pip install skautoencoder[onnx]``).
    ValueError
        If the estimator does not have the method, or not in ONNX.

    Warns
    -----
    UserWarning
        If modules of your own decide in Python by what they are given, as ``if
        x.sum() > 0`` does: the model always decides as for two samples of zeros.

    See Also
    --------
    skautoencoder.deployment.register_converters : Lets skl2onnx convert Pipelines
        with our steps.

    Notes
    -----
    The model answers as the estimator does for float32 samples, up to rounding. It does
    not check samples: for NaN it answers something.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer, to_onnx
    >>> X = (load_digits().data[:200] / 16).astype(np.float32)
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=2, random_state=0).fit(X)
    >>> model = to_onnx(autoencoder, "transform")
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> (codes,) = session.run(None, {"X": X})
    >>> bool(np.allclose(codes, autoencoder.transform(X), atol=1e-5))
    True
    """
    return export(estimator, method, OPSET)


def export(
    estimator: Any, method: str, opset: int, shape: tuple[int, ...] | None = None
) -> Any:
    """Return a method as an ONNX model for samples of a shape.

    Parameters
    ----------
    estimator : estimator object
        A fitted estimator.
    method : str
        The method.
    opset : int
        Version of ONNX's operators.
    shape : tuple of int, default=None
        Shape of a sample. None: that which `fit` saw.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX models are written with onnx: pip install 'skautoencoder[onnx]'."
        ) from error
    _check(estimator, method)
    if method == "inverse_transform":
        shape = (estimator.code_size_,)
    elif shape is None:
        shape = estimator.trained_network.data_shape
    with one_thread():
        answer, file = Answer(estimator, method), io.BytesIO()
        # Two samples, as torch may take the axis of a single one for a constant.
        example = torch.zeros(2, *shape, dtype=torch.float32)
        with (
            evaluating(answer.network),
            warnings.catch_warnings(record=True) as caught,
        ):
            # torch warns of constants, which here are meant, and deprecates this
            # exporter, whose successor needs the compiler.
            warnings.simplefilter("always")
            try:
                torch.onnx.export(
                    answer,
                    (example,),
                    file,  # type: ignore[arg-type]
                    input_names=["X"],
                    output_names=[method],
                    dynamic_axes={"X": {0: "n_samples"}, method: {0: "n_samples"}},
                    opset_version=opset,
                    dynamo=False,
                )
            except torch.onnx.errors.OnnxExporterError as error:
                raise ValueError(
                    "torch has no ONNX operators for the modules of this "
                    f"{type(estimator).__name__}: {str(error).rstrip('. ')}. Write "
                    "them with others, or deploy a file of skautoencoder.save."
                ) from error
    _warn_of_decisions(caught)
    model = onnx.load_from_string(file.getvalue())
    _let_states_start_at_zero(model.graph)
    return model


def _warn_of_decisions(caught: list[warnings.WarningMessage]) -> None:
    """Warn if modules look at samples, or at their number, in Python.

    Parameters
    ----------
    caught : list of WarningMessage
        The warnings of torch's export.
    """
    for warning in caught:
        message = str(warning.message)
        if (
            issubclass(warning.category, torch.jit.TracerWarning)
            and message.startswith(("Converting", "Iterating", "Using len"))
            and not warning.filename.startswith(_KNOWN)
        ):
            warn_user(
                f"{warning.filename}, line {warning.lineno}, looks at samples in "
                "Python, which an ONNX model cannot do: it does what was done here for "
                "two samples of zeros, and may fail for another number of samples. Use "
                "operators of torch, such as torch.where. (torch: "
                f"{message.partition('. ')[0]}.)"
            )
            return


def _let_states_start_at_zero(graph: Any) -> None:
    """Remove the initial states of recurrent layers, which torch gives two samples."""
    for node in graph.node:
        if node.op_type in ("GRU", "LSTM"):
            node.input[:] = node.input[:5]
    wanted = {name for node in graph.node for name in node.input}
    wanted |= {output.name for output in graph.output}
    for unused in [i for i in graph.initializer if i.name not in wanted]:
        graph.initializer.remove(unused)
    for unused in [
        n for n in graph.node if not any(name in wanted for name in n.output)
    ]:
        graph.node.remove(unused)


def _check(estimator: Any, method: str) -> None:
    """Raise if an estimator does not have a method, or not in ONNX."""
    name = type(estimator).__name__
    known = next((m for kind, m in METHODS.items() if isinstance(estimator, kind)), ())
    if not known:
        raise ValueError(
            "to_onnx takes fitted transformers, denoisers and outlier detectors, and "
            f"samplers for their codes, got {name}. For a Pipeline use "
            "skl2onnx.to_onnx, after skautoencoder.deployment.register_converters()."
        )
    if method not in known:
        raise ValueError(
            f"method must be one of {', '.join(known)} for {name}, got {method!r}."
        )
    check_is_fitted(estimator)
    trained = estimator.trained_network
    if trained.is_ragged:
        raise ValueError(
            f"This {name} learnt from sequences of different lengths, for which there "
            "is no ONNX model. Fit it on sequences of one length."
        )
    if isinstance(estimator, VAESampler) and not isinstance(
        estimator.row_format, ArrayFormat
    ):
        raise ValueError(
            f"This {name} learnt from a table, whose columns are converted outside of "
            "the network, so that there is no ONNX model. For arrays of one kind of "
            "values set likelihood='gaussian' or 'bernoulli'."
        )
    assert np.all(np.asarray(trained.scaling.scale) > 0)
