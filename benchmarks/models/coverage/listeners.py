"""Networks of sounds as spectrograms or samples."""

import torch
from torch import nn

from benchmarks.models.coverage.case import Case
from toolkit.tasks import Task

_HERE, _TASKS = "benchmarks.models.coverage.listeners", "benchmarks.models.coverage.tasks"


def whisper() -> nn.Module:
    """The encoder of Whisper under a classifier: (16, 100) mel values -> 3 classes."""
    from transformers import WhisperConfig, WhisperForAudioClassification

    torch.manual_seed(0)
    sizes = {"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 128}
    rest = {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 128, "classifier_proj_size": 32}
    ids = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 1}
    config = WhisperConfig(num_mel_bins=16, max_source_positions=50, num_labels=3, **sizes, **rest, **ids)
    return WhisperForAudioClassification(config).eval()


def mel(shots: int, seed: int) -> Task:
    """Mel values (16, 100)."""
    from benchmarks.models.coverage.tasks import series

    return series(shots, seed, channels=16, steps=100)


def ds_cnn() -> nn.Module:
    """Depthwise separable convolutions on (1, 32, 32) (Zhang et al. 2017)."""
    torch.manual_seed(0)

    def separable(width: int) -> list[nn.Module]:
        depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        pointwise = nn.Conv2d(width, width, 1, bias=False)
        return [depthwise, nn.BatchNorm2d(width), nn.ReLU(), pointwise, nn.BatchNorm2d(width), nn.ReLU()]

    stem = [nn.Conv2d(1, 64, (10, 4), 2, (4, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    body = [each for _ in range(3) for each in separable(64)]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))


def cnn_1d() -> nn.Module:
    """Strided convolutions over 1,600 samples (M5, Dai et al. 2017)."""
    torch.manual_seed(0)
    first = [nn.Conv1d(1, 32, 32, 8), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(2)]
    second = [nn.Conv1d(32, 64, 3), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(64, 64, 3), nn.ReLU()]
    return nn.Sequential(*first, *second, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 3))


class _Recurrent(nn.Module):
    """Convolutions over (1, 32, 32), then a GRU along its width."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.pool, self.reads = nn.MaxPool2d(2), nn.GRU(32 * 8, 48, batch_first=True)
        self.head = nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the last step."""
        x = self.pool(torch.relu(self.second(self.pool(torch.relu(self.first(x))))))
        steps, _ = self.reads(x.permute(0, 3, 1, 2).flatten(2))
        return self.head(steps[:, -1])


def crnn() -> nn.Module:
    """A convolutional recurrent network (Shi et al. 2015)."""
    torch.manual_seed(0)
    return _Recurrent()


CASES = (
    Case("whisper", f"{_HERE}:whisper", f"{_HERE}:mel"),
    Case("ds_cnn", f"{_HERE}:ds_cnn", f"{_TASKS}:images?channels=1"),
    Case("cnn_1d", f"{_HERE}:cnn_1d", f"{_TASKS}:recordings"),
    Case("crnn", f"{_HERE}:crnn", f"{_TASKS}:images?channels=1"),
)
