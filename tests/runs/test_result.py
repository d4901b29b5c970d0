"""result.json: what is said of a damaged one."""

import json

import pytest

from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Result, Stage, read_result


STAGE = dict.fromkeys(Stage.__required_keys__, 0)
WHOLE = dict.fromkeys(Result.__required_keys__, 0) | {"stages": [STAGE]}


def read(path, content):
    (path / "result.json").write_text(json.dumps(content))
    return read_result(RunFolder(path))


def test_a_whole_one_is_read(tmp_path):
    assert read_result(RunFolder(tmp_path)) is None
    assert read(tmp_path, WHOLE) == WHOLE


@pytest.mark.parametrize(
    "content", [5, None, [], {}, *(WHOLE | {"stages": s} for s in (3, [], [1], [STAGE, {"mean": 0}]))]
)
def test_a_damaged_one_is_named_with_what_to_do(tmp_path, content):
    with pytest.raises(UserError, match=r"result.json lacks .* Write it again with `mmaml evaluate"):
        read(tmp_path, content)
