"""A directory of `save_pretrained` is a classifier of one float tensor that answers as it did, processor and all.

Networks are small and random: nothing is downloaded.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.model_name import NamedModel
from toolkit.objectives import Boxes, Labelling
from toolkit.origins import load_model
from toolkit.stages.take_apart import take_apart

transformers = pytest.importorskip("transformers", reason="pip install '.[hf]'")

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 3}
WAVES = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
ENDS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 16}
MOBILE = {"hidden_sizes": [16, 20, 24], "neck_hidden_sizes": [8, 8, 16, 16, 16, 16, 32]}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def make(kind: str, **config: Any) -> nn.Module:
    """E.g. ViTForImageClassification."""
    torch.manual_seed(0)
    architecture = getattr(transformers, kind)
    return architecture(architecture.config_class(**config)).eval()


def vit() -> nn.Module:
    return make("ViTForImageClassification", image_size=32, patch_size=16, num_labels=3, **SIZES)


def bert() -> nn.Module:
    return make("BertForSequenceClassification", vocab_size=50, num_labels=3, **SIZES)


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "vit": vit,
    "deit": lambda: make("DeiTForImageClassification", image_size=32, patch_size=16, num_labels=3, **SIZES),
    "deit with teacher": lambda: make(
        "DeiTForImageClassificationWithTeacher", image_size=32, patch_size=16, num_labels=3, **SIZES
    ),
    "resnet": lambda: make("ResNetForImageClassification", embedding_size=8, layer_type="basic", **STAGES),
    "convnext": lambda: make("ConvNextForImageClassification", num_stages=2, **STAGES),
    "mobilenet": lambda: make("MobileNetV2ForImageClassification", image_size=32, depth_multiplier=0.1, num_labels=3),
    "mobilevit": lambda: make("MobileViTForImageClassification", image_size=32, num_labels=3, **MOBILE),
    "swin": lambda: make(
        "SwinForImageClassification",
        image_size=32,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1],
        num_heads=[1, 2],
        window_size=4,
        num_labels=3,
    ),
}
TEXTS: dict[str, Callable[[], nn.Module]] = {
    "bert": bert,
    "distilbert": lambda: make(
        "DistilBertForSequenceClassification", vocab_size=50, num_labels=3, dim=16, n_layers=1, n_heads=2, hidden_dim=32
    ),
    "gpt2": lambda: make(
        "GPT2ForSequenceClassification",
        vocab_size=50,
        num_labels=3,
        n_embd=16,
        n_layer=1,
        n_head=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    ),
}


def load(folder: Path, **options: Any) -> tuple[nn.Module, list[str]]:
    notes: list[str] = []
    return load_model(NamedModel(f"hf:{folder}", **options), note=notes.append), notes


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(folder, **options)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


@pytest.mark.parametrize("kind", IMAGES)
def test_a_classifier_of_images_answers_as_it_did_and_can_be_taken_apart(kind: str, tmp_path: Path) -> None:
    model, x = IMAGES[kind](), torch.rand(4, 3, 32, 32)
    model.save_pretrained(tmp_path)
    loaded, notes = load(tmp_path)
    torch.testing.assert_close(loaded(x), model(x).logits)
    assert "no preprocessor_config.json" in notes[0]
    assert take_apart(loaded, inputs_of(x)).layers


@pytest.mark.parametrize("kind", TEXTS)
def test_a_classifier_of_text_reads_ids_and_sees_no_padding(kind: str, tmp_path: Path) -> None:
    model = TEXTS[kind]()
    model.save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    ids = torch.randint(2, 50, (4, 7))
    ids[0, 5:] = 0
    expected = model(input_ids=ids, attention_mask=(ids != 0).long()).logits
    torch.testing.assert_close(loaded(ids.float()), expected)
    torch.testing.assert_close(loaded(ids[:1, :5].float()), expected[:1])  # as without what pads it
    apart = take_apart(loaded, inputs_of(ids))
    assert apart.layers
    assert apart.network.head is not None


def test_a_model_for_tokens_answers_for_each(tmp_path: Path) -> None:
    model = make("BertForTokenClassification", vocab_size=50, num_labels=3, **SIZES)
    model.save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    ids = torch.randint(2, 50, (4, 7))
    torch.testing.assert_close(loaded(ids), model(input_ids=ids).logits)
    assert Labelling(classes_last=True).wrong_with(loaded(ids).shape, ids % 3) is None


def test_a_segmenter_answers_for_each_pixel_as_its_processor_draws_it_up(tmp_path: Path) -> None:
    sizes = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1, 1, 2, 2]}
    model = make("SegformerForSemanticSegmentation", num_labels=3, decoder_hidden_size=16, **sizes)
    model.save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    x = torch.rand(2, 3, 32, 64)
    processor = transformers.SegformerImageProcessor()
    expected = processor.post_process_semantic_segmentation(model(x), [(32, 64)] * 2)
    assert loaded(x).shape == (2, 3, 32, 64)
    assert torch.equal(loaded(x).argmax(1), torch.stack(expected))


def test_a_detector_writes_pixels_and_probabilities(tmp_path: Path) -> None:
    """The reference is the library's own reading of the outputs."""
    patches = {"image_size": [32, 64], "patch_size": 16, "num_detection_tokens": 5}
    model = make("YolosForObjectDetection", num_labels=3, **patches, **SIZES)
    model.save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    x = torch.rand(2, 3, 32, 64)
    found = loaded(x)
    assert Boxes(3, 4, (64.0, 32.0), probabilities=True).wrong_with(found.shape, torch.full((2, 4, 5), -1.0)) is None
    processor = transformers.YolosImageProcessor()
    for mine, theirs in zip(found, processor.post_process_object_detection(model(x), 0.0, [(32, 64)] * 2), strict=True):
        torch.testing.assert_close(mine[4:].amax(0), theirs["scores"])
        centres, sides = mine[:2], mine[2:4]
        corners = torch.cat([centres - sides / 2, centres + sides / 2]).T
        torch.testing.assert_close(corners, theirs["boxes"], rtol=1e-4, atol=1e-4)


def test_a_classifier_of_recordings_reads_them_as_its_extractor_scales_them(tmp_path: Path) -> None:
    model = make("Wav2Vec2ForSequenceClassification", num_labels=3, **SIZES, **WAVES, **ENDS)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    for each in (model, extractor):
        each.save_pretrained(tmp_path)
    loaded, notes = load(tmp_path)
    x = 0.1 * torch.randn(2, 1, 800) + 0.3
    values = extractor(list(x[:, 0].numpy()), sampling_rate=16000, return_tensors="pt").input_values
    torch.testing.assert_close(loaded(x), model(values).logits, rtol=1e-4, atol=1e-4)
    assert "16000 samples a second" in notes[0]


@pytest.mark.parametrize(
    "processor",
    [
        ("ViTImageProcessor", {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}),
        ("ViTImageProcessor", {"do_normalize": False}),
        (
            "ViTImageProcessor",
            {"do_rescale": False, "image_mean": [100.0, 120.0, 90.0], "image_std": [50.0, 60.0, 70.0]},
        ),
        ("MobileViTImageProcessor", {"crop_size": {"height": 32, "width": 32}}),
    ],
    ids=["normalised", "as they are", "bytes", "channels turned"],
)
def test_images_in_0_to_1_become_what_the_processor_makes_of_files(
    processor: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    """The reference is the processor itself, on the same picture."""
    kind, settings = processor
    size = {"shortest_edge": 32} if kind.startswith("Mobile") else {"height": 32, "width": 32}
    model = vit()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": kind, "size": size, **settings})
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    made = transformers.AutoImageProcessor.from_pretrained(tmp_path)(Image.fromarray(pixels), return_tensors="pt")
    loaded, notes = load(tmp_path)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(loaded(x), model(made["pixel_values"]).logits, rtol=1e-4, atol=1e-4)
    assert "32 x 32 pixels" in notes[0]


def test_grey_images_are_given_to_all_channels(tmp_path: Path) -> None:
    """A folder of grey images has one channel."""
    vit().save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(loaded(x), loaded(x.expand(2, 3, 32, 32)))


def test_half_precision_comes_in_single(tmp_path: Path) -> None:
    vit().half().save_pretrained(tmp_path)
    loaded, _ = load(tmp_path)
    assert {each.dtype for each in loaded.parameters()} == {torch.float32}


def test_a_body_without_a_head_is_refused_or_gets_a_new_one(tmp_path: Path) -> None:
    make("BertModel", vocab_size=50, **SIZES).save_pretrained(tmp_path)
    assert "is for no task that is known (BertModel)" in refusal(tmp_path)
    loaded, notes = load(tmp_path, hf_task="text-classification")
    assert "no weights for 2 tensors (classifier.bias, classifier.weight)" in notes[0]
    assert loaded(torch.ones(2, 5)).shape == (2, 2)
    assert "no bert is for image-classification" in refusal(tmp_path, hf_task="image-classification")


def _drop(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state.pop("classifier.bias")
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def _reshape(folder: Path) -> None:
    state = load_file(folder / "model.safetensors") | {"classifier.weight": torch.ones(5, 16)}
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def _configure(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "has a config.json that cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "has a config.json that is no table"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "cannot be loaded"),
        (_drop, "has no weights for 1 tensors (classifier.bias)"),
        (_reshape, "has 1 weights of another shape than its config.json says (classifier.weight (5, 16) for (3, 16))"),
        (_configure(architectures=["BertForMaskedLM"]), "is for no task that is known (BertForMaskedLM)"),
        (_configure(architectures=None), "names no architecture"),
        (_configure(model_type="new", auto_map={"AutoModel": "x.X"}), "needs code of its own"),
        (_configure(quantization_config={"quant_method": "gptq"}), "is quantised already"),
        (_configure(pad_token_id=None), "has no pad_token_id"),
        (_configure(hidden_size=17), "cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_a_line(damage: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    damage(tmp_path)
    assert said in refusal(tmp_path)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such directory" in refusal(tmp_path / "none")
    assert "there is no such directory" in refusal(Path("microsoft/resnet-18"))  # a name on the hub is none


_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

class OwnConfig(PretrainedConfig):
    model_type = "own"

class Own(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(3, 2)
        self.post_init()

    def forward(self, pixel_values):
        return ImageClassifierOutput(logits=self.layer(pixel_values.mean((2, 3))))
"""


def test_code_of_its_own_runs_where_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own_code.py").write_text(_CODE)
    names = {"AutoConfig": "own_code.OwnConfig", "AutoModelForImageClassification": "own_code.Own"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "architectures": ["Own"], "auto_map": names}))
    save_file(
        {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"}
    )
    assert "--trust-remote-code" in refusal(folder)
    assert not (tmp_path / "modules").exists()
    loaded, _ = load(folder, trust_remote_code=True)
    assert loaded(torch.ones(1, 3, 4, 4)).tolist() == [[3.0, 3.0]]
