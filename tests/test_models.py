"""Any module with a vector of outputs is a backbone and, where it ends in a Linear, a head."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.models import SparesItsInput, require_answers, spare_input, split_head


class HeadFirst(nn.Module):
    """The head is the first attribute and its size is read in forward, as many published models do."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.body = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x)).view(-1, 6))


class HeadOnTokens(HeadFirst):
    """The head reads each token and their logits are averaged: the same as reading the average."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x))).mean(1)


class ReadsItsHead(HeadFirst):
    """Computes with the last layer's attributes, so that it cannot be taken out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x)).view(-1, self.head.in_features))


class Rectified(nn.Module):
    """Ends in a ReLU that changes nothing on this example."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        nn.init.constant_(self.last.weight, 0.5)
        nn.init.constant_(self.last.bias, 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.last(torch.relu(x)))


class Encoder(nn.Module):
    """Ends in a transformer layer, whose fused path reads weights of layers that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).mean(1)


_PLAIN = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Dropout(0.9), nn.ReLU(), nn.Linear(6, 3))
_CONV_ONLY = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
_LOG_SOFTMAX = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.LogSoftmax(-1))


@pytest.mark.parametrize(
    ("model", "shape", "features"),
    [
        (_PLAIN, (4,), 6),
        (HeadFirst(), (4,), 6),
        (HeadOnTokens(), (5, 4), 6),
        (nn.Linear(4, 3), (4,), 4),
        (nn.Sequential(OrderedDict(inner=nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)))), (4,), 6),
    ],
    ids=["sequential", "head is the first attribute", "head on tokens", "one Linear", "nested"],
)
def test_a_model_that_ends_in_a_linear_is_parted_there(model: nn.Module, shape: tuple[int, ...], features: int) -> None:
    x = torch.randn(4, *shape)
    expected = model.eval()(x)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    assert (network.feature_size, network.head.in_features, network.head.out_features) == (features, features, 3)
    assert network.backbone(x).shape == (4, features)
    torch.testing.assert_close(network.head(network.backbone(x)), expected)
    torch.testing.assert_close(model(x), expected)  # the user's model is left whole


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (_CONV_ONLY, torch.randn(4, 2, 6, 6)),
        (_LOG_SOFTMAX, torch.randn(4, 4)),
        (ReadsItsHead(), torch.randn(4, 4)),
        (Rectified(), torch.rand(4, 4)),
        (Encoder(), torch.randn(4, 5, 8)),
    ],
    ids=["pooling", "log_softmax", "reads its head", "rectified", "transformer"],
)
def test_the_outputs_of_any_other_model_are_its_features(model: nn.Module, x: torch.Tensor) -> None:
    network = split_head(model.eval(), inputs_of(x[:1]))
    assert network.head is None
    assert network.feature_size == model(x).shape[1]
    torch.testing.assert_close(network.backbone(x), model(x))


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        (_PLAIN, torch.zeros(1, 5), "does not take an input of shape (1, 5)"),
        (nn.TransformerEncoderLayer(8, 2, 16), torch.zeros(1, 5, 7), "does not take an input of shape (1, 5, 7)"),
        (nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 5, 5), "its output is (1, 2, 3, 3), expected logits (N, classes)"),
        (nn.LSTM(4, 3), torch.zeros(1, 4), "its output is tuple, expected logits (N, classes)"),
    ],
    ids=["wrong size", "asserts", "not a vector", "tuple"],
)
def test_a_model_that_does_not_fit_the_task_is_refused(model: nn.Module, x: torch.Tensor, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        split_head(model.eval(), inputs_of(x))
    assert said in caught.value.what
    assert len(str(caught.value).splitlines()) <= 2


class OneByOne(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.view(1, 6))


class Noisy(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + torch.randn_like(x))


class Relative(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(0))


class Undefined(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.log(-x.abs()))


@pytest.mark.parametrize(
    ("kind", "word"), [(OneByOne, "at once"), (Noisy, "each time"), (Relative, "alone"), (Undefined, "NaN")]
)
def test_a_model_whose_answers_are_not_of_its_input_alone_is_refused(kind: type[nn.Sequential], word: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(BadInput, match=word):
        require_answers(kind(nn.Linear(6, 3)).eval(), inputs_of(torch.randn(4, 6)))


def test_models_that_answer_are_none_of_these() -> None:
    torch.manual_seed(0)
    normalised = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)).eval()
    require_answers(normalised, inputs_of(torch.randn(4, 6)))
    require_answers(normalised, inputs_of(torch.randn(1, 6)))
    require_answers(nn.Flatten(0), inputs_of(torch.randn(4, 6)))  # `split_head` says what its output is


class Counts(nn.Sequential):
    calls: torch.Tensor

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x)


def test_a_model_that_keeps_a_state_is_refused_by_the_name_of_it() -> None:
    with pytest.raises(BadInput, match="'calls'"):
        require_answers(Counts(nn.Linear(6, 3)), inputs_of(torch.randn(4, 6)))


class EditsInPlace(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x -= 0.5
        return super().forward(x)


def test_a_model_that_edits_its_input_is_given_a_copy() -> None:
    x = torch.randn(4, 6)
    model = spare_input(EditsInPlace(nn.Linear(6, 3)).eval(), inputs_of(x[:1]))
    assert isinstance(model, SparesItsInput)
    require_answers(model, inputs_of(x))
    before = x.clone()
    model(x.requires_grad_(True)).sum().backward()
    torch.testing.assert_close(x.detach(), before)
    assert x.grad is not None
    plain = nn.Linear(6, 3)
    assert spare_input(plain, inputs_of(x.detach())) is plain
    assert spare_input(plain, inputs_of(x.detach()[:, :2])) is plain  # `split_head` says that it does not take them


class Misspelt(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.to(self.devicee))


def test_a_fault_of_the_model_is_not_blamed_on_the_task() -> None:
    with pytest.raises(BadInput, match=r"AttributeError.*devicee") as caught:
        split_head(Misspelt(nn.Linear(6, 3)), inputs_of(torch.randn(1, 6)))
    assert caught.value.where == "model"


def test_a_last_layer_with_a_hook_is_no_head() -> None:
    """A new head would come without it."""
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    model[2].register_forward_hook(lambda _, __, output: -output)
    assert split_head(model, inputs_of(torch.randn(1, 6))).head is None


def test_a_head_without_a_bias_gets_one_of_zeros() -> None:
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3, bias=False)).eval(), torch.randn(5, 4)
    network = split_head(model, inputs_of(x[:1]))
    assert network.head is not None
    assert network.head.bias.tolist() == [0, 0, 0]
    torch.testing.assert_close(network.head(network.backbone(x)), model(x))


def test_outputs_of_any_shape_are_features_where_no_vectors_are_wanted() -> None:
    model, x = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten()).eval(), torch.randn(1, 1, 6, 6)
    network = split_head(model, inputs_of(x), vectors=False)
    assert network.head is None
    torch.testing.assert_close(network.backbone(x), model(x))


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(1, 7, 4)),
        (nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1)), torch.randn(1, 4, 6, 6)),
        (nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3, bias=False)), torch.randn(1, 4, 6, 6)),
    ],
    ids=["of tokens", "of pixels", "of pixels, without bias"],
)
def test_a_head_of_places_is_found_where_no_vectors_are_wanted(model: nn.Module, x: torch.Tensor) -> None:
    network = split_head(model, inputs_of(x), vectors=False)
    assert network.head is not None
    torch.testing.assert_close(network.head(network.backbone(x)), model(x))
