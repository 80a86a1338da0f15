"""What a user's own regression test looks like: the digits model, in a budget that leaves it dense."""


def test_digits_are_as_fast_as_they_were(deployed, regression):  # type: ignore[no-untyped-def]
    release = deployed("toolkit.examples.digits:model", "toolkit.examples.digits:task", latency="50ms")
    regression("digits", release.measure())
