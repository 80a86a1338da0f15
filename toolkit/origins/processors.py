"""What the processor of a Hugging Face directory does to numbers becomes a part of its network."""

from collections.abc import Callable
from typing import Any

from torch import nn

from toolkit.errors import BadInput, first_line
from toolkit.model_name import HfTask
from toolkit.origins.classifiers import AudioClassifier, ImageClassifier, TextClassifier
from toolkit.origins.directory import Directory
from toolkit.origins.finders import Detector, Segmenter
from toolkit.origins.pixels import Pixels, Scale
from toolkit.quiet import quiet

_Wrap = Callable[[Directory, nn.Module, Callable[[str], None]], nn.Module]
_FILES = ("preprocessor_config.json", "processor_config.json")


def of_floats(directory: Directory, task: HfTask, model: nn.Module, note: Callable[[str], None]) -> nn.Module:
    """The directory's `model` for that task, as a function of one float tensor; `note` is told what it takes.

    Raises BadInput for a processor that cannot be loaded, or text without an id that pads it.
    """
    return _KINDS[task](directory, model, note)


def _of_images(kind: Callable[[nn.Module, Pixels], nn.Module]) -> _Wrap:
    def wrap(directory: Directory, model: nn.Module, note: Callable[[str], None]) -> nn.Module:
        channels = int(getattr(model.config, "num_channels", 3))
        processor = _processor(directory, "AutoImageProcessor")
        if processor is None:
            note(f"{directory.where} has no {_FILES[0]}: images go into the model as they are, in 0..1")
            return kind(model, Pixels(Scale((0.0,) * channels, (1.0,) * channels)))
        sizes = getattr(processor, "crop_size", None) or getattr(processor, "size", None) or {}
        size = " x ".join(str(value) for value in dict(sizes).values() if value)
        note(
            f"{directory.where} takes images in 0..1, which it normalises; its processor made them {size} pixels large"
        )
        return kind(model, Pixels(_scale(processor, channels)))

    return wrap


def _scale(processor: Any, channels: int) -> Scale:
    """The processor starts from bytes, 0..255."""
    factor = 255.0 * (processor.rescale_factor if processor.do_rescale else 1.0)
    offset = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    mean = processor.image_mean if processor.do_normalize else (0.0,) * channels
    std = processor.image_std if processor.do_normalize else (1.0,) * channels
    return Scale(
        tuple((each + offset) / factor for each in mean),
        tuple(each / factor for each in std),
        bool(getattr(processor, "do_flip_channel_order", False)),
    )


def _of_text(directory: Directory, model: nn.Module, _: Callable[[str], None]) -> nn.Module:
    padding = getattr(model.config, "pad_token_id", None)
    if padding is None:
        raise BadInput(
            "has no pad_token_id in its config.json",
            where=directory.where,
            next="Add the id that its tokenizer pads with.",
        )
    return TextClassifier(model, int(padding))


def _of_recordings(directory: Directory, model: nn.Module, note: Callable[[str], None]) -> nn.Module:
    extractor = _processor(directory, "AutoFeatureExtractor")
    if extractor is None:
        note(f"{directory.where} has no {_FILES[0]}: recordings go into the model as they are")
        return AudioClassifier(model, normalises=False)
    note(f"{directory.where} takes recordings of {extractor.sampling_rate} samples a second")
    return AudioClassifier(model, normalises=bool(extractor.do_normalize))


def _processor(directory: Directory, kind: str) -> Any:
    """None where the directory has none."""
    import transformers

    if not any((directory.path / name).is_file() for name in _FILES):
        return None
    try:
        with quiet():
            return getattr(transformers, kind).from_pretrained(directory.path, **directory.options)
    except Exception as error:  # whatever a file of settings leads the library to
        raise BadInput(
            f"has a processor that cannot be loaded: {first_line(error)}",
            where=directory.where,
            next="Save it again, with save_pretrained.",
        ) from None


_KINDS: dict[HfTask, _Wrap] = {
    "image-classification": _of_images(ImageClassifier),
    "image-segmentation": _of_images(Segmenter),
    "object-detection": _of_images(Detector),
    "text-classification": _of_text,
    "token-classification": _of_text,
    "audio-classification": _of_recordings,
}
