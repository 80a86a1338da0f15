"""Classifiers of `transformers` in small configurations, deployed from the directory that `save_pretrained` writes."""

from typing import Any

import torch
from torch import nn

from benchmarks.models.coverage.case import Case

_HERE, _TASKS = "benchmarks.models.coverage.directories", "benchmarks.models.coverage.tasks"
_WIDTHS = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
_PATCHES = {"image_size": 32, "patch_size": 8, **_WIDTHS}
_TOKENS = {"vocab_size": 64, "max_position_embeddings": 32}


def resnet() -> nn.Module:
    """Four stages of basic blocks."""
    sizes = {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 96], "depths": [1, 1, 1, 1]}
    return _of("ResNetForImageClassification", layer_type="basic", **sizes)


def mobilenet_v2() -> nn.Module:
    """Inverted residuals of a quarter of the usual width."""
    return _of("MobileNetV2ForImageClassification", image_size=32, depth_multiplier=0.25)


def vit() -> nn.Module:
    """Sixteen patches."""
    return _of("ViTForImageClassification", **_PATCHES)


def deit() -> nn.Module:
    """Sixteen patches and the distillation token."""
    return _of("DeiTForImageClassification", **_PATCHES)


def clip() -> nn.Module:
    """The vision half; the directory's config.json tells of the text half, too."""
    return _of("CLIPForImageClassification", vision_config=_PATCHES, text_config={**_WIDTHS, **_TOKENS})


def mobilevit() -> nn.Module:
    """Convolutions around three transformers."""
    sizes = {"hidden_sizes": [32, 40, 48], "neck_hidden_sizes": [16, 16, 24, 32, 40, 48, 96]}
    return _of("MobileViTForImageClassification", image_size=64, **sizes)


def convnext() -> nn.Module:
    """Three stages of depthwise 7 x 7 convolutions."""
    return _of("ConvNextForImageClassification", num_stages=3, hidden_sizes=[24, 48, 96], depths=[1, 1, 2])


def swin() -> nn.Module:
    """Two stages of windows of four patches."""
    sizes = {"embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
    return _of("SwinForImageClassification", image_size=32, patch_size=4, **sizes)


def bert() -> nn.Module:
    """Three layers."""
    return _of("BertForSequenceClassification", **_WIDTHS, **_TOKENS)


def distilbert() -> nn.Module:
    """Two layers, no token types."""
    sizes = {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128}
    return _of("DistilBertForSequenceClassification", **sizes, **_TOKENS)


def minilm() -> nn.Module:
    """MiniLM is a BERT of six narrow layers with many heads."""
    sizes = {"hidden_size": 48, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 192}
    return _of("BertForSequenceClassification", **sizes, **_TOKENS)


def gpt2() -> nn.Module:
    """Two layers; the last real token answers."""
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    return _of("GPT2ForSequenceClassification", vocab_size=64, n_positions=32, n_embd=64, n_layer=2, n_head=4, **ids)


def wav2vec2() -> nn.Module:
    """Two convolutions and two layers over 1,600 samples."""
    waves = {"conv_dim": (32, 32), "conv_stride": (10, 4), "conv_kernel": (20, 8), "num_feat_extract_layers": 2}
    ends = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 32}
    return _of("Wav2Vec2ForSequenceClassification", **{**_WIDTHS, "num_hidden_layers": 2}, **waves, **ends)


def _of(kind: str, **config: Any) -> nn.Module:
    """A classifier of three classes of that kind, with random weights."""
    import transformers

    torch.manual_seed(0)
    architecture = getattr(transformers, kind)
    return architecture(architecture.config_class(num_labels=3, **config)).eval()


def _cases(task: str, *names: str) -> tuple[Case, ...]:
    return tuple(Case(name, f"{_HERE}:{name}", f"{_TASKS}:{task}", saved=True) for name in names)


CASES = (
    *_cases("images", "resnet", "mobilenet_v2", "vit", "deit", "clip", "convnext", "swin"),
    *_cases("images?size=64", "mobilevit"),
    *_cases("texts", "bert", "distilbert", "minilm", "gpt2"),
    *_cases("recordings", "wav2vec2"),
)
