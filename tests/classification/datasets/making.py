"""Small pictures, data sets and archives in the layouts of the official ones."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

from mmaml.classification.datasets.mini_imagenet import SPLIT
from mmaml.classification.datasets.pack import ImageSet


def picture(shade=100, *, size=(6, 4), kind="PNG", mode="RGB", **options):
    """The bytes of a picture of one colour, dark or bright by `shade`."""
    colour = (shade,) * len(mode) if len(mode) > 1 else shade
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def write_files(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def image_set(*, per_class=3, split=(0, 0, 1, 2), shape=(5, 5, 3), name="tiny"):
    k = len(split)
    images = np.random.default_rng(0).integers(0, 256, (k * per_class, *shape)).astype(np.uint8)
    labels = np.repeat(np.arange(k), per_class).astype(np.int32)
    return ImageSet(name, images, labels, tuple("abcdefgh"[:k]), np.array(split, np.uint8))


def omniglot_zips(per_character=1):
    """Files of the two zips: 964 and 659 characters in two alphabets each."""
    parts = {}
    for part, counts in {"images_background": (900, 64), "images_evaluation": (600, 59)}.items():
        parts[part] = {
            f"{part}/{part[7]}{alphabet}/character{i:03}/{i:04}_{drawer:02}.png": picture(200, mode="L", size=(3, 3))
            for alphabet, count in enumerate(counts)
            for i in range(count)
            for drawer in range(per_character)
        }
    return parts


def cifar_files(class_names, coarse, per_class=2):
    """Training and test records of 100 classes; an image's pixels are its class, in every colour plane plus 1."""
    planes = np.repeat(np.arange(3, dtype=np.uint8), 1024)
    records = b"".join(bytes([coarse[i], i]) + bytes(planes + i) for i in range(100) for _ in range(per_class))
    half = len(records) // 2
    return {
        "cifar-100-binary/train.bin": records[:half],
        "cifar-100-binary/test.bin": records[half:],
        "cifar-100-binary/fine_label_names.txt": "\n".join(class_names).encode() + b"\n\n",
        "cifar-100-binary/coarse_label_names.txt": b"x\n",
    }


def cub_files():
    return {"attributes.txt": b"x", "CUB_200_2011/README": b"x"} | {
        f"CUB_200_2011/images/{i:03}.Bird_{999 - i}/Bird_{999 - i}_{j:04}.jpg": picture(i, kind="JPEG")
        for i in range(1, 201)
        for j in range(1, 3)
    }


def aircraft_files(variants):
    data = "fgvc-aircraft-2013b/data"
    lines = {part: "" for part in ("train", "val", "test")}
    files = {}
    for i, variant in enumerate(variants):
        for j, part in enumerate(lines):
            files[f"{data}/images/{i:04}{j}.jpg"] = picture(i, kind="JPEG", size=(8, 6))
            lines[part] += f"{i:04}{j} {variant}\n"
    lists = {f"{data}/images_variant_{part}.txt": text.encode() for part, text in lines.items()}
    lists[f"{data}/images_family_train.txt"] = b"00000 nothing of interest\n"
    return files | lists | {f"{data}/variants.txt": "\n".join(variants).encode() + b"\n"}


def imagenet_files(per_class=3):
    """Training images as ImageNet names and orders them: `n01440764`, outside mini-ImageNet, and its 100 classes.

    The k-th picture of a class by number, counted from 1, has the shade 40 k. By name, number 10 would come before 9.
    """
    return {
        f"{synset}/{synset}_{8 + k}.JPEG": picture(40 * k, kind="JPEG")
        for synset in ("n01440764", *SPLIT)
        for k in range(per_class, 0, -1)
    }
