import numpy as np
import pytest

from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.values import Values, read_values, write_values


STAGES = np.array([[2.0, 1.0], [4.0, 3.0]])


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.mark.parametrize("modes", [None, np.array([1, 0])])
@pytest.mark.parametrize("groups", [None, np.array([0, 1])])
def test_read_as_written(folder, modes, groups):
    assert read_values(folder) is None
    write_values(folder, Values(STAGES, modes, groups))
    values = read_values(folder)
    assert values is not None
    np.testing.assert_array_equal(values.stages, STAGES)
    np.testing.assert_array_equal(values.final, [1, 3])
    np.testing.assert_equal(values.modes, modes)
    np.testing.assert_equal(values.groups, groups)


def write_list(folder):
    np.save(folder.values_path, np.array([1, "a"], object), allow_pickle=True)


def cut_off(folder):
    write_values(folder, Values(STAGES))
    folder.values_path.write_bytes(folder.values_path.read_bytes()[:-8])


@pytest.mark.parametrize(
    "spoil",
    [
        write_list,
        cut_off,
        lambda folder: folder.values_path.write_bytes(b""),
        lambda folder: folder.values_path.write_text("accuracy"),
        lambda folder: np.save(folder.values_path, STAGES[0]),
        lambda folder: np.save(folder.values_path, STAGES.astype(str)),
        lambda folder: write_values(folder, Values(STAGES, np.arange(3))),
        lambda folder: write_values(folder, Values(STAGES, groups=np.arange(3))),
    ],
)
def test_broken_files_are_named(folder, spoil):
    spoil(folder)
    with pytest.raises(UserError, match=r"(evaluation|modes|groups)\.npy is broken.*mmaml evaluate"):
        read_values(folder)
