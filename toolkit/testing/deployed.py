"""A model deployed for a test: everything `deploy` does up to its acceptance on the board, in the tests' own folder."""

from dataclasses import dataclass

import torch

from toolkit import pipeline, stages
from toolkit.adaptation import infer_on_device
from toolkit.deployment import Deployment
from toolkit.devices import Home
from toolkit.errors import BudgetError
from toolkit.inputs import Given, inputs_of
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.probe import Board
from toolkit.targets import Target
from toolkit.testing.sample import sample
from toolkit.testing.samples import Samples


@dataclass(frozen=True)
class Deployed:
    """A release that the board accepted, with all that was predicted and measured on the way (`result`)."""

    result: Deployment
    board: Board
    bundle: Bundle

    def measure(self) -> Samples:
        """Its latency, in the rounds that `regression` compares. Raises BoardError."""
        return sample(self.board, self.bundle)

    def infer(self, x: Given) -> torch.Tensor:
        """Outputs (N, ...) of the board for inputs (N, *shape), one at a time. Raises BoardError."""
        return infer_on_device(
            self.board.agent, self.bundle.digest, inputs_of(x), adapted=False, threads=self.board.target.threads
        )


def deploy_for_test(home: Home, target: Target, request: Request, overrides: Overrides) -> Deployed:
    """What `pipeline.deploy` does but for the adaptation; what was done in an earlier session is not repeated.

    Raises BadInput or BoardError; BudgetError also where the board measured more than the budget allows.
    """
    watch = stages.Watch(Silent())
    done = pipeline.release(home, request, target, overrides, watch, smaller_tries=0)  # what is slower must show
    if done.verified.refusals:
        raise BudgetError(
            f"the release was refused: {'; '.join(each.reason for each in done.verified.refusals)}",
            where=f"{target.name}, {request.model}",
            next="Raise the budget, or make the model smaller.",
        )
    return Deployed(done.summarise(request, watch), done.board, done.bundle)
