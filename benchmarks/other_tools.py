"""Static int8 of an ONNX file by another tool, in that tool's own environment: nothing of the toolkit is imported.

    python benchmarks/other_tools.py nncf|olive signed|unsigned MODEL.onnx IMAGES.npy INT8.onnx

IMAGES.npy is (N, *input_shape) float32, of which ranges are read. NNCF has a form of activations of its own.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np


def nncf_int8(model: Path, images: Path, made: Path) -> None:
    """`nncf.quantize` with its defaults."""
    import nncf
    import onnx

    loaded, x = onnx.load(model), np.load(images)
    name = loaded.graph.input[0].name
    quantised = nncf.quantize(loaded, nncf.Dataset([{name: image[None]} for image in x]), subset_size=len(x))
    onnx.save(quantised, made)


def olive_int8(model: Path, images: Path, made: Path, form: str) -> None:
    """Olive's static quantisation for processors, per channel, as plain int8 has it."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    from olive.data.config import DataComponentConfig, DataConfig
    from olive.data.registry import Registry
    from olive.model import ONNXModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.onnx.quantization import OnnxStaticQuantization
    from onnxruntime.quantization import CalibrationDataReader

    x = np.load(images)

    class Images(CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.name = name
            self.rewind()

        def rewind(self) -> None:
            self.rest = iter(x)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.rest, None)
            return None if image is None else {self.name: image[None]}

    handler = ONNXModelHandler(str(model))
    name = handler.io_config["input_names"][0]

    @Registry.register_dataloader()
    def images_of_this_file(dataset: object, **kwargs: object) -> Images:
        return Images(name)

    data = DataConfig(
        name="images",
        load_dataset_config=DataComponentConfig(type="simple_dataset"),
        dataloader_config=DataComponentConfig(type="images_of_this_file"),
    )
    asked = {"data_config": data, "per_channel": True, "activation_type": {"signed": "int8", "unsigned": "uint8"}[form]}
    quantise = create_pass_from_dict(OnnxStaticQuantization, asked, disable_search=True)
    written = quantise.run(handler, str(made.parent / "olive"))
    shutil.copy(written.model_path, made)


if __name__ == "__main__":
    tool, form, *paths = sys.argv[1:]
    model, images, made = map(Path, paths)
    if tool == "nncf":
        nncf_int8(model, images, made)
    else:
        olive_int8(model, images, made, form)
