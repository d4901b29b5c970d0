"""Pictures of every mode."""

import io

import numpy as np
import pytest
from PIL import Image

from mmaml.classification.datasets.pictures import as_picture, bits_of, decode
from mmaml.runs.errors import Note, UserError
from tests.classification.datasets.making import picture


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16", "CMYK"])
def test_every_mode_becomes_gray_or_rgb(mode, channels):
    if mode == "I;16":
        data = saved(Image.fromarray(np.full((4, 6), 200 * 256, np.uint16)))
    elif mode == "CMYK":
        data = saved(Image.new("RGB", (6, 4), (200, 200, 200)).convert("CMYK"), "JPEG")
    else:
        image = Image.new("RGB", (6, 4), (200, 200, 200))
        data = saved(image.convert(mode, dither=Image.Dither.NONE) if mode == "1" else image.convert(mode))
    array = decode(data, 7, channels, "x.png")
    assert array.shape == (7, 7, channels) and array.dtype == np.uint8
    np.testing.assert_allclose(array, 255 if mode == "1" else 200, atol=5)


@pytest.mark.parametrize(("whites", "gray"), [([65535], 255), ([4095], 255), ([4096], 16), ([3200, 65535], 12)])
def test_pictures_show_together_how_many_bits_they_have(tmp_path, whites, gray):
    images = [Image.fromarray(np.full((4, 4), white, np.uint16)) for white in whites]
    for i, image in enumerate(images):
        image.save(tmp_path / f"{i}.png")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"")
    eight = Image.fromarray(np.full((4, 4), 200, np.uint8))
    for given in (images, [tmp_path / f"{i}.png" for i in range(len(images))]):
        bits = bits_of([damaged, *given, eight])
        assert (as_picture(given[0], 4, 1, bits) == gray).all()
        assert (as_picture(eight, 4, 1, bits) == 200).all()


def test_what_is_brighter_than_was_taken_to_be_possible_is_white_and_it_is_said():
    image = Image.fromarray(np.array([[1600, 65535]], np.uint16).repeat(2, 0))
    with pytest.warns(Note, match="brighter than 12 bits can tell"):
        np.testing.assert_array_equal(as_picture(image, 2, 1, 12)[..., 0], [[100, 255]] * 2)


def test_a_picture_that_is_too_large_is_named(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(UserError, match=r"scan.png cannot be read as a picture: it has more than .* scale it down\. "):
        decode(saved(Image.new("L", (40, 40))), 4, 1, "scan.png")


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_of_several_pages_or_frames_the_first_is_taken_and_it_is_said(kind):
    pages = [Image.new("L", (4, 4), shade) for shade in (200, 100)]
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
    with pytest.warns(Note, match="several pages or frames; the first of each is taken"):
        assert (decode(buffer.getvalue(), 4, 1, "stack") == 200).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_of_unknown_range_are_refused(dtype):
    image = Image.fromarray(np.full((4, 4), 200, dtype))
    with pytest.raises(UserError, match=r"x.tif cannot be read as a picture: what is black in it and what white"):
        decode(saved(image, "TIFF"), 4, 1, "x.tif")
    with pytest.raises(ValueError, match="what is black in it"):
        as_picture(image, 4, 1, 16)


def test_transparency_shows_white():
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    palette = Image.new("RGB", (4, 4)).convert("P")
    index = palette.getpixel((0, 0))
    assert (decode(saved(clear), 4, 3, "x") == 255).all()
    for transparency in (index, b"\xff" * index + b"\x00"):
        assert (decode(saved(palette, transparency=transparency), 4, 3, "x") == 255).all()
    assert (decode(saved(Image.new("LA", (4, 4), (0, 0))), 4, 1, "x") == 255).all()


def test_a_photograph_is_turned_as_its_exif_says():
    left_half = np.zeros((8, 8), np.uint8)
    left_half[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise: left becomes top
    array = decode(saved(Image.fromarray(left_half), "PNG", exif=exif), 8, 1, "x")[..., 0]
    np.testing.assert_array_equal(array, left_half.T)


def test_a_wide_picture_is_squashed_not_cropped():
    wide = np.zeros((4, 16), np.uint8)
    wide[:, 8:] = 255
    array = decode(saved(Image.fromarray(wide)), 4, 1, "x")[..., 0]
    assert (array[:, 0] < 20).all() and (array[:, 3] > 235).all()


@pytest.mark.parametrize("data", [b"", b"not a picture", picture(kind="JPEG", size=(60, 60))[:-300], picture()[:50]])
def test_a_damaged_picture_is_named(data):
    with pytest.raises(UserError, match=r"birds/1.jpg cannot be read as a picture: .*Replace the file"):
        decode(data, 4, 3, "birds/1.jpg")
