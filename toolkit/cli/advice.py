"""Advice to the user whose board refused a release."""

from toolkit.deployment import Deployment
from toolkit.profiling import MOST_SPREAD


def advice(result: Deployment) -> str:
    """A sentence or two.

    Outputs that differ are no matter of the budget: values are out of all proportion, or the runtime is at fault.
    A median within the budget under a p95 far beyond it is a disturbed board, not a slow model.
    """
    missed = {each.missed for each in result.refusals}
    if "outputs" in missed and any(each.precision == "fp16" for each in result.allocation):
        return "fp16 may not hold its numbers, which end at 65,504: choose --precision int8 or fp32."
    if "outputs" in missed:
        return "No budget mends that: train with a lower recovery.rate (--set), or try the other runtime."
    if "accuracy" in missed:
        return "Give it more latency or bytes, or more steps (--set recovery.steps=N), or lower --min-accuracy."
    if missed != {"latency"}:
        return "Raise the budget, or give a smaller model."
    latency = result.latency_ms
    median, p95, budget = latency.median, latency.p95, latency.budget
    if median and p95 and budget and median < budget < p95 and p95 > MOST_SPREAD * median:
        return "The median is within it: something else had the processor. Run again when the board is idle."
    return "Raise the budget, or give a smaller model."
