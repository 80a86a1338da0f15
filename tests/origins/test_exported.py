"""A program of `torch.export.save` is a module with layers again; what is none of one batch dimension is refused."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.models import require_answers
from toolkit.origins.exported import load_exported
from toolkit.plain import make_plain
from toolkit.stages.take_apart import take_apart

ANY_BATCH = ({0: torch.export.Dim.DYNAMIC},)


def save(model: nn.Module, x: torch.Tensor, file: Path, dynamic: Any = ANY_BATCH) -> Path:
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=dynamic), file)
    return file


def convnet() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding="same"),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2, bias=False),
        nn.Flatten(),
        nn.Linear(128, 16),
        nn.ReLU(),
        nn.Linear(16, 5),
    ).eval()
    for name, tensor in model.named_buffers():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "var" in name else tensor.normal_()
    return model


class Odd(nn.Module):
    """A layer in two places, a weight that something else reads, too, and one beside its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.twice, self.tied = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.scale, self.own = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6, 6))

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.embed(ids.long()).mean(1)
        x = self.twice(F.relu(self.twice(x))) + self.tied(x) @ self.tied.weight
        return {"logits": F.linear(x * self.scale, self.own)}


def test_layers_come_back_by_their_names_and_answer_alike(tmp_path: Path) -> None:
    model, x = convnet(), torch.randn(4, 1, 8, 8)
    loaded = make_plain(load_exported(save(model, x, tmp_path / "a.pt2")), "a.pt2")
    kinds = {name: type(module) for name, module in loaded.named_modules() if name}
    assert kinds == {name: type(model[int(name)]) for name in ("0", "1", "4", "6", "8")}
    torch.testing.assert_close(loaded(x), model(x))
    torch.testing.assert_close(loaded(x[:1]), model(x[:1]))
    require_answers(loaded, x)


def test_it_goes_the_way_of_other_models(tmp_path: Path) -> None:
    """Its head is parted from it, its layers may become compact, and it learns."""
    x = torch.randn(4, 1, 8, 8)
    apart = take_apart(make_plain(load_exported(save(convnet(), x, tmp_path / "a.pt2")), "a.pt2"), inputs_of(x))
    assert set(apart.layers) == {"0", "6"}
    assert apart.network.head is not None
    assert apart.network.head.out_features == 5
    apart.network.backbone.train()
    apart.network.head(apart.network.backbone(x)).square().sum().backward()
    assert apart.layers["0"].weight.grad is not None


def test_weights_that_others_read_stay_with_their_operators(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, ids = Odd().eval(), torch.randint(0, 9, (4, 7)).float()
    loaded = load_exported(save(model, ids, tmp_path / "a.pt2"))
    assert [name for name, module in loaded.named_modules() if isinstance(module, nn.Linear)] == ["twice"]
    torch.testing.assert_close(loaded(ids), model(ids)["logits"])


class Two(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 2, x + 1


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


@pytest.mark.parametrize(
    ("model", "dynamic", "said"),
    [
        (lambda: nn.Linear(3, 2), None, "was exported for batches of 2 alone"),
        (Two, ANY_BATCH, "has 1 inputs and 2 outputs"),
        (Counts, ANY_BATCH, "was exported as it trains"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Dropout()).train(), ANY_BATCH, "was exported as it trains"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3)).train(), ANY_BATCH, "was exported as it trains"),
    ],
    ids=["one batch size", "two outputs", "a state", "dropout", "batch norm"],
)
def test_what_is_no_function_of_each_example_is_refused_with_how_to_export(
    model: Callable[[], nn.Module], dynamic: Any, said: str, tmp_path: Path
) -> None:
    file = save(model(), torch.randn(2, 3), tmp_path / "a.pt2", dynamic)
    with pytest.raises(BadInput) as caught:
        load_exported(file)
    assert said in str(caught.value)
    assert "Dim.DYNAMIC" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_the_way_to_export_that_is_told_works(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load_exported(save(nn.Linear(3, 2), torch.randn(2, 3), tmp_path / "a.pt2", None))
    assert caught.value.next
    line = caught.value.next.removeprefix("Export it anew: ").removesuffix(".")
    exec(
        line, {"torch": torch, "model": nn.Linear(3, 2), "two_examples": torch.randn(2, 3), "FILE": tmp_path / "b.pt2"}
    )
    assert load_exported(tmp_path / "b.pt2")(torch.zeros(5, 3)).shape == (5, 2)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("no program")
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("readme", "no program")
    for name, said in (
        ("none", "no such file"),
        ("text", "is no exported program"),
        ("other", "cannot be read by torch"),
    ):
        with pytest.raises(BadInput, match=said) as caught:
            load_exported(tmp_path / f"{name}.pt2")
        assert len(str(caught.value).splitlines()) <= 2


def test_a_program_that_writes_into_its_input_is_no_state(tmp_path: Path) -> None:
    model, x = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)), torch.randn(4, 3)
    loaded = load_exported(save(model, x.clone(), tmp_path / "a.pt2"))
    torch.testing.assert_close(loaded(x.clone()), model(x.clone()))


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.file),)


def test_no_part_of_it_is_unpickled(tmp_path: Path) -> None:
    """`torch.export.load` by itself would: its example inputs may hold anything."""
    file, changed = save(nn.Linear(3, 2), torch.randn(2, 3), tmp_path / "a.pt2"), tmp_path / "b.pt2"
    content = io.BytesIO()
    torch.save(((Evil(tmp_path / "was run"),), {}), content)
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            _, _, rest = name.partition("/")
            inputs = rest.startswith("data/sample_inputs/")
            after.writestr(f"b/{rest}", content.getvalue() if inputs else before.read(name))
    with pytest.raises(BadInput, match="cannot be read"):
        load_exported(changed)
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("a/data/constants/custom_obj_0", "holds objects"),
        ("a/data/constants/opaque_obj_0", "holds objects"),
        ("a/data/aotinductor/model/model.so", "was compiled for one kind of machine"),
    ],
)
def test_what_would_run_code_is_refused_unread(part: str, said: str, tmp_path: Path) -> None:
    file = save(nn.Linear(3, 2), torch.randn(2, 3), tmp_path / "a.pt2")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(part, b"")
    with pytest.raises(BadInput, match=said):
        load_exported(file)
