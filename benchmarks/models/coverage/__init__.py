"""Networks of the kinds that people bring, small and random, one family a file; `ALL` of them."""

from benchmarks.models.coverage import (
    answers,
    convolutional,
    directories,
    listeners,
    places,
    refused,
    sequences,
    several,
)
from benchmarks.models.coverage.case import Case

ALL = (
    *directories.CASES,
    *listeners.CASES,
    *convolutional.CASES,
    *sequences.CASES,
    *places.CASES,
    *answers.CASES,
    *several.CASES,
    *refused.CASES,
)

__all__ = ["ALL", "Case"]
