"""Properties of the episode sampler, on images that carry their own number."""

import equinox as eqx
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaml.classification.tasks import ImageTasks


def numbered(counts):
    """2×2 images that say of which class and which image of it they are, and the corner marks which way is up."""
    pictures = [[[[c], [i]], [[255], [0]]] for c, count in enumerate(counts) for i in range(count)]
    return np.array(pictures, np.uint8)


def tasks(counts=(7, 5, 9, 6), way=3, shot=1, queries=2, **options):
    options = {"name": "numbered", **options}
    return ImageTasks(numbered(counts), np.array(counts), way=way, shot=shot, queries=queries, **options)


def read(inputs):
    """Class and number of images."""
    numbers = np.round(np.asarray(inputs) * 255).astype(int)
    return numbers[..., 0, 0, 0], numbers[..., 0, 1, 0]


@settings(deadline=None, max_examples=12)
@given(
    counts=st.lists(st.integers(4, 9), min_size=2, max_size=6),
    shot=st.integers(1, 2),
    queries=st.integers(1, 2),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
def test_episodes_are_what_they_promise(counts, shot, queries, seed, data):
    way = data.draw(st.integers(2, len(counts)))
    batch = tasks(counts, way, shot, queries).sample(jr.key(seed), 3)
    for i in range(3):
        support, query = ([np.asarray(part.targets[i]), *read(part.inputs[i])] for part in (batch.support, batch.query))
        assert np.bincount(support[0]).tolist() == [shot] * way
        assert np.bincount(query[0]).tolist() == [queries] * way
        class_of = dict(zip(support[0], support[1], strict=True))
        assert len(set(class_of.values())) == way
        for labels, classes, _ in (support, query):
            assert [class_of[label] for label in labels] == classes.tolist()
        pictures = [(c, n) for _, classes, numbers in (support, query) for c, n in zip(classes, numbers, strict=True)]
        assert len(set(pictures)) == len(pictures)
        assert all(number < counts[c] for c, number in pictures)


def test_every_class_and_image_is_reached_equally_often_and_labels_are_dealt_out_at_random():
    counts = (7, 5, 9, 6)
    batch = eqx.filter_jit(tasks(counts).sample)(jr.key(0), 4000)
    classes, numbers = read(batch.query.inputs)
    shares = np.bincount(classes.ravel()) / classes.size
    np.testing.assert_allclose(shares, 0.25, atol=0.02)
    for c, count in enumerate(counts):
        np.testing.assert_allclose(np.bincount(numbers[classes == c]) / (classes == c).sum(), 1 / count, atol=0.02)
    label_of_first = np.asarray(batch.query.targets)[classes == 0]
    np.testing.assert_allclose(np.bincount(label_of_first) / len(label_of_first), 1 / 3, atol=0.03)


def test_a_class_is_turned_as_a_whole_and_every_way():
    batch = eqx.filter_jit(tasks(rotate=True).sample)(jr.key(0), 400)
    marks = [np.round(np.asarray(p.inputs) * 255).reshape(400, -1, 4) == 255 for p in (batch.support, batch.query)]
    corner = [m.argmax(-1) for m in marks]
    for i in range(400):
        for label in range(3):
            seen = [
                c[i][np.asarray(p.targets[i]) == label]
                for c, p in zip(corner, (batch.support, batch.query), strict=True)
            ]
            assert len(set(np.concatenate(seen))) == 1
    np.testing.assert_allclose(np.bincount(corner[0].ravel()) / corner[0].size, 0.25, atol=0.05)


def test_augmented_images_are_mirrored_and_moved_each_by_itself_and_in_every_way():
    picture = np.arange(16 * 8, dtype=np.uint8).reshape(16, 8, 1)
    source = ImageTasks(
        np.broadcast_to(picture, (6, 16, 8, 1)), np.full(2, 3), way=2, shot=1, queries=2, name="x", augment=True
    )
    batch = eqx.filter_jit(source.sample)(jr.key(0), 400)
    seen = np.round(np.concatenate([batch.support.inputs, batch.query.inputs], 1) * 255).astype(int)[..., 0]
    rows, columns = np.arange(16), np.arange(8)
    allowed = {
        side[np.clip(rows + down, 0, 15)][:, np.clip(columns + right, 0, 7)].tobytes()
        for side in (picture[..., 0].astype(int), picture[:, ::-1, 0].astype(int))
        for down in range(-2, 3)
        for right in range(-1, 2)
    }
    found = [image.tobytes() for image in seen.reshape(-1, 16, 8)]
    assert set(found) == allowed
    assert len(allowed) == 30
    np.testing.assert_allclose([found.count(image) / len(found) for image in allowed], 1 / 30, atol=0.015)
    assert np.mean([len({image.tobytes() for image in episode}) for episode in seen]) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"way": 5}, "numbered has 4 classes, fewer than the 5 of an episode"),
        ({"rotate": True, "augment": True}, "numbered are to be rotated and augmented"),
        ({"queries": 5}, "a class with 5 images; 1 support and 5 query images take 6"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tasks(**options)


def test_images_that_are_not_square_are_not_turned():
    with pytest.raises(ValueError, match="not square"):
        ImageTasks(np.zeros((9, 2, 3, 1), np.uint8), np.full(3, 3), way=2, shot=1, queries=1, name="x", rotate=True)
