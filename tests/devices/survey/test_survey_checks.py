"""What follows from a survey: the family, which runtime can run, and what a board lacks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveyed import ALPINE, ANDROID, JETSON, PI_4_32_BITS, PI_5, survey_of

from toolkit.devices.survey import Interpreter, Survey, checks, chosen_runtime, recognise, unfit
from toolkit.devices.wheels import pins_by_minor

BOTH = ("onnxruntime", "executorch")


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (PI_5, "raspberry-pi-5"),
        (PI_5.replace("Raspberry Pi 5 Model B", "Raspberry Pi Compute Module 5"), "raspberry-pi-5"),
        (PI_4_32_BITS, "raspberry-pi-4"),
        (ALPINE, "raspberry-pi-4"),
        (JETSON, "jetson-orin"),
        (JETSON.replace("Jetson Orin Nano Engineering Reference", "Orin NX"), "jetson-orin"),
        (JETSON.replace("Orin Nano", "Xavier NX"), "generic-arm64"),
        (ANDROID, "android-arm64"),
        (PI_5.replace("Raspberry Pi 5", "Orange Pi 5 Plus"), "generic-arm64"),
        (PI_5.replace("=aarch64", "=x86_64"), "generic-x86-64"),
        (PI_5.replace("=aarch64", "=riscv64"), None),
        (PI_5.replace("=aarch64", "=armv7l"), None),
    ],
)
def test_the_family_is_recognised(text: str, family: str | None) -> None:
    assert recognise(survey_of(text)) == family


@pytest.mark.parametrize(
    ("text", "runtime"),
    [(PI_5, "onnxruntime"), (JETSON, "onnxruntime"), (PI_4_32_BITS, "executorch"), (ALPINE, "executorch")],
)
def test_the_first_runtime_that_can_run_is_chosen(text: str, runtime: str) -> None:
    assert chosen_runtime(survey_of(text), BOTH) == runtime


def test_android_runs_what_needs_no_python() -> None:
    assert chosen_runtime(survey_of(ANDROID), ("executorch",)) == "executorch"
    assert unfit(survey_of(ANDROID), "onnxruntime") is not None


@pytest.mark.parametrize(
    ("text", "why", "need"),
    [
        (PI_4_32_BITS, "32 bits", "64-bit OS"),
        (ALPINE, "musl 1.2.5", "--runtime executorch"),
        (PI_5.replace("python=3.11.2", "python=3.8.10"), "Python 3.8.10", "--runtime executorch"),
        (PI_5.replace("glibc 2.36", "glibc 2.24"), "glibc 2.24", "--runtime executorch"),
        (PI_5.replace("rw,noatime", "rw,noexec,noatime"), "noexec", "root"),
        (PI_5.replace("python=3.11.2 64 glibc 2.36 /usr/bin/python3\n", ""), "no Python", "Python 3.9"),
    ],
)
def test_what_is_in_the_way_of_onnxruntime_is_named(text: str, why: str, need: str) -> None:
    found = unfit(survey_of(text), "onnxruntime")
    assert found is not None
    assert why in found.why
    assert need in found.need


def test_a_second_python_that_would_do_is_named() -> None:
    survey = survey_of(PI_5.replace("python=3.11.2", "python=3.8.10"))
    newer = Interpreter("/usr/local/bin/python3.12", "3.12.1", 64, "glibc 2.36")
    found = unfit(replace(survey, pythons=(*survey.pythons, newer)), "onnxruntime")
    assert found is not None
    assert "/usr/local/bin/python3.12" in found.need


def test_every_check_of_a_good_board_is_right() -> None:
    found = checks(survey_of(PI_5), "aarch64", BOTH)
    assert [each.name for each in found if not each.ok] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (PI_5.replace("=aarch64", "=x86_64"), "processor"),
        (PI_5.replace("53000000 9%", "53 100%"), "disk"),
        (PI_5.replace("3680000 4%", "12 100%"), "inodes"),
        (PI_5.replace("clock=1795890000", "clock=86400"), "clock"),
        (PI_5.replace("rw,noatime", "rw,noexec"), "folder"),
        (PI_5.replace("writable=yes", "writable=no"), "folder"),
        (PI_5.replace("ram_kib=8245344", "ram_kib=64000"), "memory"),
    ],
)
def test_what_a_board_lacks_fails_and_says_what_it_takes(text: str, name: str) -> None:
    failed = {each.name: each for each in checks(survey_of(text), "aarch64", BOTH) if not each.ok}
    assert name in failed
    assert failed[name].need


def test_a_board_for_executorch_alone_needs_no_python() -> None:
    assert all(each.ok for each in checks(survey_of(ANDROID), "aarch64", ("executorch",)))


SURVEYS = st.builds(
    Survey,
    machine=st.sampled_from(["aarch64", "x86_64", "armv7l", ""]),
    kernel=st.just("Linux 6"),
    word_bits=st.sampled_from([None, 32, 64]),
    libc=st.sampled_from([None, "musl", "bionic", "glibc 2.17", "glibc 2.28", "glibc 2.41"]),
    pythons=st.lists(
        st.builds(
            Interpreter,
            st.just("/usr/bin/python3"),
            st.integers(0, 99).map(lambda minor: f"3.{minor}.1"),
            st.sampled_from([32, 64]),
            st.sampled_from(["", "glibc 2.31", "glibc 2.5"]),
        ),
        max_size=2,
    ).map(tuple),
    root_noexec=st.sampled_from([None, True, False]),
    disk_free_bytes=st.none() | st.integers(0, 10**12),
    clock_s=st.none() | st.integers(0, 10**18),
)


@given(SURVEYS)
def test_a_chosen_runtime_is_never_unfit_and_every_failure_says_what_helps(survey: Survey) -> None:
    chosen = chosen_runtime(survey, BOTH)
    assert chosen is None or unfit(survey, chosen) is None
    found = {each.name: each for each in checks(survey, "any", BOTH)}
    assert found["runtime"].ok == (chosen is not None)
    assert all(each.ok or each.need for each in found.values())
    if chosen == "onnxruntime":
        assert survey.python is not None
        assert survey.python.minor in pins_by_minor()
