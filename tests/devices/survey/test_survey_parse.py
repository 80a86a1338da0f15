"""The answers of boards, whole and torn, as a Survey."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveyed import ALPINE, ANDROID, JETSON, PI_4_32_BITS, PI_5, survey_of

from toolkit.devices.survey import parse_survey

ALL = {"pi-5": PI_5, "pi-4-32": PI_4_32_BITS, "jetson": JETSON, "alpine": ALPINE, "android": ANDROID}


def test_a_raspberry_pi_is_read_whole() -> None:
    found = survey_of(PI_5)
    assert (found.machine, found.word_bits, found.system, found.libc) == ("aarch64", 64, "debian 12", "glibc 2.36")
    assert found.python is not None
    assert (found.python.version, found.python.minor, found.python.libc) == ("3.11.2", 11, "glibc 2.36")
    assert (found.cpu, found.cores, found.ram_bytes) == ("Cortex-A76", 4, 8245344 * 1024)
    assert (found.disk_free_bytes, found.inodes_free) == (53_000_000 * 1024, 3_680_000)
    assert (found.root_writable, found.root_noexec) == (True, False)


def test_programs_of_32_bits_under_a_64_bit_kernel_are_seen() -> None:
    found = survey_of(PI_4_32_BITS)
    assert (found.machine, found.word_bits) == ("aarch64", 32)
    without_getconf = survey_of(PI_4_32_BITS.replace("word_bits=32\n", ""))
    assert without_getconf.word_bits == 32


def test_jetpack_follows_from_the_release_of_its_linux() -> None:
    found = survey_of(JETSON)
    assert (found.l4t, found.jetpack) == ("36.4.3", 6)
    assert survey_of(PI_5).jetpack is None


def test_musl_and_bionic_are_told_apart_from_glibc() -> None:
    assert survey_of(ALPINE).libc == "musl 1.2.5"
    assert survey_of(ANDROID).libc == "bionic"
    assert survey_of(ANDROID).system == "android 14"


@pytest.mark.parametrize("name", ALL)
@given(data=st.data())
def test_an_answer_that_was_cut_off_is_none(name: str, data: st.DataObject) -> None:
    text = ALL[name].removesuffix("end=1\n")
    assert parse_survey(text[: data.draw(st.integers(0, len(text)))]) is None


KEYS = st.sampled_from(sorted({line.partition("=")[0] for text in ALL.values() for line in text.splitlines()}))
LINES = st.one_of(
    st.tuples(KEYS, st.text(max_size=60)).map("=".join),
    st.tuples(KEYS, st.integers().map(str)).map("=".join),
    st.sampled_from([line for text in ALL.values() for line in text.splitlines()]),
    st.text(max_size=40),
)


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_any_answer_is_a_survey_or_none(text: str) -> None:
    found = parse_survey(text)
    if found is not None:
        assert found.machine.isprintable()
        assert found.word_bits in (None, 32, 64)
        assert all(value is None or value >= 0 for value in (found.ram_bytes, found.disk_free_bytes, found.clock_s))
        assert all(each.command.startswith("/") and each.minor >= 0 for each in found.pythons)
