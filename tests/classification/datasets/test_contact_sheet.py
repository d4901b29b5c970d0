"""The page of samples."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from mmaml.classification.datasets.contact_sheet import contact_sheet
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import image_set


@pytest.mark.parametrize("shape", [(5, 5, 3), (28, 28, 1), (4, 9, 1)])
def test_images_and_names_are_on_the_page(tmp_path, shape):
    contact_sheet(image_set(shape=shape), tmp_path / "sheet.png", images=3)
    with Image.open(tmp_path / "sheet.png") as page:
        pixels = np.asarray(page)
    assert pixels.shape == (4 * 68 + 4, 190 + 3 * 68 + 4, 3)
    assert (pixels[:, :190] < 128).any() and pixels[8:60, 194:250].std() > 10


def test_letters_of_other_scripts_are_drawn(tmp_path):
    contact_sheet(replace(image_set(), class_names=("Ä", "π", "ж", "b")), tmp_path / "sheet.png", images=3)
    with Image.open(tmp_path / "sheet.png") as page:
        ink = np.asarray(page)[..., 0] < 128
    drawn = [ink[68 * row : 68 * row + 30, :30] for row in range(4)]  # an unknown letter would be drawn as a box
    assert not any(np.array_equal(one, other) for one, other in combinations(drawn, 2))


def test_classes_are_taken_from_everywhere(tmp_path):
    contact_sheet(image_set(split=(0,) * 8), tmp_path / "sheet.png", classes=2)
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.height == 2 * 68 + 4


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*sheet.png"):
        contact_sheet(image_set(), tmp_path / "file" / "sheet.png")
