"""Values as cameras, microphones and arrays have them: as the host makes them of files, so does the board."""

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.inputs import entry_of, rows_of
from toolkit.inputs import Port
from toolkit.preprocessing import Kind, Preprocessing
from toolkit.tasks.again import inputs_from

_RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["images", "recordings", "arrays", "numbers", None])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("normalised", [False, True])
def test_an_array_means_to_an_application_what_it_means_to_the_host(
    kind: Kind | None, dtype: type[np.generic], normalised: bool, tmp_path: Path
) -> None:
    port = Port("x", (2, 5))
    values = (200 * _RANDOM.random((3, 2, 5))).astype(dtype)
    by_channel = {"mean": (0.5, 0.25), "std": (2.0, 4.0)} if normalised and kind else {}
    made = Preprocessing(kind, **by_channel) if kind else None
    np.save(tmp_path / "x.npy", values)
    [expected] = inputs_from(tmp_path / "x.npy", made, [port])
    entry = entry_of(vars(port), made.told() if made else None)
    given, alone = rows_of(entry, values)
    assert not alone
    np.testing.assert_allclose(given, expected.numpy(), rtol=1e-6, atol=1e-6)
    assert given.dtype == np.float32
    [one], alone = rows_of(entry, values[1])
    assert alone
    np.testing.assert_array_equal(one, given[1])
