"""Write a network as ONNX: photos in, score out; normalisation inside, batch norm folded, halves if asked."""

import io
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.model.network import SelfieNetwork

PHOTOS, OUTPUTS = "photos", ("score", "log_odds", "fc7")
OPSET = 17  # of 2022: whatever reads ONNX today knows it
LEAST = 500  # numbers of a tensor that is worth halving; smaller ones, such as biases, stay exact


class Rater(nn.Module):
    """A network from pixels to score, with nothing for a caller to get wrong in between."""

    def __init__(self, network: SelfieNetwork):
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rate photos, uint8 RGB (N, S, S, 3), squished.

        Returns score (N,), P(good); log-odds (N,); fc7 (N, D).
        """
        logits, fc7 = self.network(photos.permute(0, 3, 1, 2))  # (N, 2), (N, D)
        log_odds = logits[:, 1] - logits[:, 0]
        return log_odds.sigmoid(), log_odds, fc7


def to_onnx(network: SelfieNetwork, one_photo: bool = False) -> onnx.ModelProto:
    """Return a network as ONNX: see `Rater` for its input `photos` and outputs score, log_odds and fc7.

    It takes any number of photos at once, or `one_photo` alone, which leaves less to work out in each run.
    Batch norm is folded into convolutions. Raises SelfieError where torch can't write the network.
    """
    network = network.cpu().eval()
    size, precision = network.image_size, network.precision
    network.precision = "float32"  # a CPU with bfloat16 would write its rounding into the file
    file = io.BytesIO()
    any_number = {name: {0: "n"} for name in (PHOTOS, *OUTPUTS)}
    # The exporter that traces folds batch norm, and needs no other package; the newer one does not fold.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer is kept, though no longer developed
            torch.onnx.export(
                Rater(network).eval(), (torch.zeros(1, size, size, 3, dtype=torch.uint8),), file,
                input_names=[PHOTOS], output_names=list(OUTPUTS), opset_version=OPSET,
                dynamic_axes=None if one_photo else any_number, dynamo=False,
            )  # fmt: skip
    except Exception as error:  # the exporter has many of its own
        why = " ".join(str(error).split("#")[0].split())[:120]
        raise SelfieError(
            f"torch {torch.__version__} cannot write {network.backbone} at {size} px as ONNX ({why}): export "
            "it as safetensors, or teach another backbone or image_size."
        ) from None
    finally:
        network.precision = precision
    return onnx.load_from_string(file.getvalue())


def in_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose large weights are kept in 16 bits: half the room, for a rounding of 0.05%.

    A Cast turns each back when the model is loaded, so that the arithmetic stays that of 32 bits. Raises
    SelfieError for a weight that 16 bits can't hold.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())  # the caller's stays as it is
    graph, casts, kept = model.graph, [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST:
            kept.append(tensor)
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise SelfieError(f"{tensor.name} has weights beyond 65,504: they do not fit into 16 bits.")
        kept.append(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_half"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    for field, content in ((graph.initializer, kept), (graph.node, nodes)):
        content = list(content)
        del field[:]
        field.extend(content)
    onnx.checker.check_model(model)
    return model


def rate_with_onnx(model: onnx.ModelProto, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Rate photos, uint8 (N, S, S, 3), with an ONNX model on the CPU, one after the other.

    Returns score, log_odds (N,) and fc7 (N, D), float32.
    """
    import onnxruntime  # half a second, for those who rate

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [session.run(list(OUTPUTS), {PHOTOS: photo[None]}) for photo in pixels]
    return {
        name: np.concatenate(parts) for name, parts in zip(OUTPUTS, zip(*found, strict=True), strict=True)
    }
