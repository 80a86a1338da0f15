"""Sums of int8 products come out in full, on processors that would saturate them, too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_runtime import program
from edge_runtime.saturation import cpuinfo as this_processor
from edge_runtime.saturation import saturates

# Lines of /proc/cpuinfo, shortened: a Core i7-4770 (Haswell), a Xeon 6248 (Cascade Lake), a Core i5-12400 (Alder Lake),
# and a Raspberry Pi 4, whose features have another name.
HASWELL = "processor\t: 0\nflags\t\t: fpu sse4_2 avx f16c avx2 bmi2\nbugs\t\t: cpu_meltdown\n"
CASCADE_LAKE = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 avx512f avx512bw avx512_vnni\n"
ALDER_LAKE = "flags\t\t: fpu sse4_2 avx avx2 avx_vnni\n"
RASPBERRY_PI = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"
EMULATOR = shutil.which("qemu-x86_64")


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [(HASWELL, True), (CASCADE_LAKE, False), (ALDER_LAKE, False), (RASPBERRY_PI, False), ("", False), (None, False)],
)
def test_x86_without_vnni_saturates(cpuinfo: str | None, expected: bool) -> None:
    assert saturates(cpuinfo) is expected


_EXACT_HERE = not saturates(this_processor())


@pytest.mark.parametrize(
    "cpuinfo",
    [
        HASWELL,
        pytest.param(CASCADE_LAKE, marks=pytest.mark.skipif(not _EXACT_HERE, reason="this processor has no VNNI")),
    ],
)
def test_the_largest_products_add_up_in_full(cpuinfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """255 x 127 in each of 64 places, the most that int8 can ask for; a pair of them is 64,770, 16 bits hold 32,767."""
    monkeypatch.setattr(program, "cpuinfo", lambda: cpuinfo)
    onnx.save(_product(), tmp_path / "product.onnx")
    run = program.load("onnxruntime", str(tmp_path / "product.onnx"), {}, 1)
    [found] = run([np.full((1, 64), 255, np.float32)])
    np.testing.assert_allclose(found, np.full((1, 8), 64 * 255 * 127), rtol=1 / 255)


def _product() -> onnx.ModelProto:
    """x (1, 64) by weights that are all 127, as int8 programs have it: quantised, multiplied, and back."""
    constants = {
        "step": np.array(1, np.float32),
        "out_step": np.array(64 * 127, np.float32),
        "zero": np.array(0, np.uint8),
        "weight_zero": np.array(0, np.int8),
        "weight": np.full((64, 8), 127, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["x8"]),
        helper.make_node(
            "QLinearMatMul", ["x8", "step", "zero", "weight", "step", "weight_zero", "out_step", "zero"], ["y8"]
        ),
        helper.make_node("DequantizeLinear", ["y8", "out_step", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.skipif(EMULATOR is None, reason="qemu-x86_64 is not installed: no processor without VNNI to try")
@pytest.mark.parametrize(("cpuinfo", "expected"), [(HASWELL, 64 * 255 * 127), (CASCADE_LAKE, 64 // 2 * 32767)])
def test_so_they_do_on_a_haswell_that_would_saturate_them(cpuinfo: str, expected: int, tmp_path: Path) -> None:
    """One that is emulated, and believes `cpuinfo`: with the flags of another, each pair ends at 32,767."""
    onnx.save(_product(), tmp_path / "product.onnx")
    script = (
        "import numpy as np\nfrom edge_runtime import program\n"
        f"program.cpuinfo = lambda: {cpuinfo!r}\n"
        f"run = program.load('onnxruntime', {str(tmp_path / 'product.onnx')!r}, {{}}, 1)\n"
        "print(float(run([np.full((1, 64), 255, np.float32)])[0].max()))\n"
    )
    assert EMULATOR is not None
    python = [EMULATOR, "-cpu", "Haswell", str(Path(sys.executable).resolve()), "-c", script]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(python, env=os.environ | paths, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(expected, rel=1 / 255)
