"""Converters for skl2onnx, so that it takes Pipelines with our steps."""

from __future__ import annotations

from typing import Any

from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.deployment.onnx_export import export
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.sampling import VAESampler
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

# The highest version of ONNX's operators that torch's exporter writes.
_HIGHEST_OPSET = 20


def register_converters() -> None:
    """Let skl2onnx convert our transformers, denoisers, samplers and outlier detectors.

    Call it once, before ``skl2onnx.to_onnx(pipeline, X[:1])``. A transformer's and a
    sampler's output are its codes; a detector has two, "label" (-1 or 1) and "scores"
    (those of `decision_function`), as scikit-learn's detectors have there.

    Raises
    ------
    ImportError
        If skl2onnx is not installed (``pip install skautoencoder[onnx]``).

    See Also
    --------
    skautoencoder.to_onnx : A single estimator, by each of its methods.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.deployment import register_converters
    >>> register_converters()
    >>> X = load_digits().data[:200].astype(np.float32)
    >>> code = AutoencoderTransformer(4, max_epochs=2, random_state=0)
    >>> pipeline = make_pipeline(MinMaxScaler(), code).fit(X)
    >>> model = to_onnx(pipeline, X[:1], target_opset=17)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> (codes,) = session.run(None, {"X": X})
    >>> bool(np.allclose(codes, pipeline.transform(X), atol=1e-5))
    True
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            "Pipelines are converted with skl2onnx: pip install 'skautoencoder[onnx]'."
        ) from error
    for kind in (
        AutoencoderTransformer,
        ConvAutoencoderTransformer,
        DenoisingAutoencoder,
        VAESampler,
    ):
        update_registered_converter(
            kind, f"Skautoencoder{kind.__name__}", _set_shape_of_codes, _convert_codes
        )
    update_registered_converter(
        AutoencoderOutlierDetector,
        "SkautoencoderOutlierDetector",
        _set_shapes_of_detector,
        _convert_detector,
        parser=_parse_detector,
    )


def _set_shape_of_codes(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    n_samples = operator.inputs[0].get_first_dimension()
    code_size = operator.raw_operator.code_size_
    operator.outputs[0].type = FloatTensorType([n_samples, code_size])


def _convert_codes(scope: Any, operator: Any, container: Any) -> None:
    _insert(scope, operator, container, "transform", operator.outputs[0])


def _parse_detector(
    scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None
) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    operator = scope.declare_local_operator("SkautoencoderOutlierDetector", model)
    operator.inputs = inputs
    for name, kind in (("label", Int64TensorType()), ("scores", FloatTensorType())):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _set_shapes_of_detector(operator: Any) -> None:
    n_samples = operator.inputs[0].get_first_dimension()
    for output in operator.outputs:
        output.type.shape = [n_samples]


def _convert_detector(scope: Any, operator: Any, container: Any) -> None:
    label, scores = operator.outputs
    _insert(scope, operator, container, "predict", label)
    _insert(scope, operator, container, "decision_function", scores)


def _insert(
    scope: Any, operator: Any, container: Any, method: str, output: Any
) -> None:
    """Insert the model of a method into the graph that skl2onnx builds."""
    import onnx
    from onnx import helper, version_converter

    estimator = operator.raw_operator
    opset = container.target_opset_any_domain("")
    shape = (estimator.n_features_in_,)
    model = export(estimator, method, min(opset, _HIGHEST_OPSET), shape)
    if opset > _HIGHEST_OPSET:
        model = version_converter.convert_version(model, opset)
    graph = model.graph
    given = scope.get_unique_variable_name("X")
    cast = helper.make_node(
        "Cast", [operator.inputs[0].full_name], [given], to=onnx.TensorProto.FLOAT
    )
    names = {"": "", "X": given, method: output.full_name}

    def renamed(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(f"autoencoder_{name}")
        return names[name]

    container.nodes.append(cast)
    for initializer in graph.initializer:
        initializer.name = renamed(initializer.name)
        container.initializers.append(initializer)
    for node in graph.node:
        node.name = scope.get_unique_operator_name("autoencoder")
        for place, name in enumerate(node.input):
            node.input[place] = renamed(name)
        for place, name in enumerate(node.output):
            node.output[place] = renamed(name)
        container.nodes.append(node)
    container.node_domain_version_pair_sets.add(("", opset))
