"""What a user's own regression test looks like."""


def test_the_small_model_is_as_fast_as_it_was(deployed, regression):  # type: ignore[no-untyped-def]
    release = deployed("device_tests.small:model", "device_tests.small:task", latency="50ms")
    assert release.result.active
    regression("small-model", release.measure())
