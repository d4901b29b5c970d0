"""Classification from the command line and from Python, on the digits that need no files and on pictures."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.random as jr
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import mmaml
from mmaml.classification.config import ClassificationConfig
from mmaml.classification.datasets.catalogue import find
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.splits import SPLITS
from mmaml.classification.experiment import ClassificationExperiment
from mmaml.classification.learner import published_rates
from mmaml.classification.paper import OMNIGLOT, TABLE2
from mmaml.classification.presets import PRESETS
from mmaml.classification.sources import make_sources
from mmaml.classification.tasks import ImageTasks
from mmaml.cli import main
from mmaml.core.meta import MetaTrainer
from mmaml.core.task import Mixture
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import Note, UserError
from tests.commands import mmaml_command
from tests.compilation import compilations


TINY = (
    "--budget smoke --meta-iterations 2 --way 3 --queries 2 --meta-batch 2 --channels 4 6 --embedding 5 --inner-steps 1"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mmaml"
    assert main(f"train classification-2 {TINY} --out {folder}".split()) == 0
    return folder


@pytest.fixture
def shapes(tmp_path):
    """Pictures of two classes of one's own: bright and dark."""
    rng = np.random.default_rng(0)
    for part, name, level in (("support", "bright", 200), ("support", "dark", 20), ("query", "", 110)):
        folder = tmp_path / part / name
        folder.mkdir(parents=True)
        for i in range(3):
            noise = rng.integers(0, 50, (17 + i, 23, 3))
            Image.fromarray((level + noise).astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path


def test_a_run_leaves_everything_it_promises(run):
    result = json.loads((run / "result.json").read_text())
    assert result["metric"] == "accuracy" and not result["lower_is_better"]
    assert result["data"] == "digits, digits-negative"
    assert list(result["stages"][0]["per_mode"]) == ["digits", "digits-negative"]
    values = np.load(run / "evaluation.npy", allow_pickle=False)
    assert values.shape == (20, 2)
    assert result["stages"][-1]["mean"] == pytest.approx(values[:, -1].mean(), abs=1e-6)
    for name in ("figures/episodes.svg", "figures/embedding.svg", "report.html", "model.safetensors"):
        assert (run / name).stat().st_size > 1000


@pytest.mark.parametrize("lost", [(), ("best", "checkpoints")])
def test_evaluating_the_best_checkpoint_or_its_model_again_gives_the_same(capsys, run, tmp_path, lost):
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns(*lost))
    before = json.loads((run / "result.json").read_text())
    code, out, _ = mmaml_command(capsys, "evaluate {} --json", tmp_path / "run")
    assert code == 0 and {**json.loads(out), "evaluated": None} == {**before, "evaluated": None}


def test_adapt_to_folders_of_pictures(capsys, run, shapes):
    code, out, _ = mmaml_command(capsys, "adapt {} --support {} --query {}", run, shapes / "support", shapes / "query")
    header, *rows = [line.split(",") for line in out.splitlines()]
    assert (
        code == 0
        and header == ["image", "label", "bright", "dark"]
        and [r[0] for r in rows] == ["0.png", "1.png", "2.png"]
    )
    for _, label, *probabilities in rows:
        assert sum(map(float, probabilities)) == pytest.approx(1, abs=1e-3)
        assert label == header[2 + int(np.argmax([float(p) for p in probabilities]))]


def test_labels_are_judged_where_the_query_has_folders_of_classes(capsys, run, shapes):
    support, query = shapes / "support", shapes / "judged"
    shutil.copytree(support, query)
    shutil.copy(query / "dark" / "0.png", query / "dark" / "b.png")
    code, out, err = mmaml_command(capsys, "adapt {} --support {} --query {}", run, support, query)
    header, *rows = [line.split(",") for line in out.splitlines()]
    assert code == 0 and header == ["image", "label", "given", "bright", "dark"]
    files, given = sorted(query.rglob("*.png")), ["bright"] * 3 + ["dark"] * 4
    assert [row[0] for row in rows] == [str(file.relative_to(query)) for file in files]
    assert [row[2] for row in rows] == given
    right = sum(row[1] == row[2] for row in rows) / 7
    assert f"Accuracy: {right:.4g} over 7 queries with known answers." in err
    task = mmaml.load(run).adapt(sorted(support.rglob("*.png")), ["bright"] * 3 + ["dark"] * 3)
    assert task.score(files, given) == pytest.approx(right)
    with pytest.raises(ValueError, match="there are 7 images and 1 labels"):
        task.score(files, ["dark"])


@pytest.mark.parametrize(
    ("support", "query", "message"),
    [
        ("query", "query", "0.png is an image outside any class's folder"),
        ("support/dark", "query", "0.png is an image outside"),
        ("nowhere", "query", "has no class folders with images"),
        ("support", "nowhere", "nowhere cannot be read"),
        ("support", ".", "has no images (.png"),
        ("support", "other", "nothing is named like no class of the support set (bright, dark), as others in"),
    ],
)
def test_adapt_says_what_is_wrong_with_the_folders(capsys, run, shapes, support, query, message):
    for name in ("bright", "nothing"):
        (shapes / "other" / name).mkdir(parents=True)
    code, _, err = mmaml_command(capsys, "adapt {} --support {} --query {}", run, shapes / support, shapes / query)
    assert code == 2 and message in err


def test_the_exported_model_is_the_run_s(capsys, run, tmp_path):
    assert mmaml_command(capsys, "export {} {}", run, tmp_path / "model.safetensors")[0] == 0
    digits = find("digits")
    images, labels = digits.images[:30:10], ["a", "b", "b"]
    tasks = [mmaml.load(path).adapt(images, labels) for path in (run, tmp_path / "model.safetensors")]
    assert tasks[0].classes_.tolist() == ["a", "b"] and tasks[0].embedding.shape == (5,)
    assert tasks[0].mode_neighbours == tasks[1].mode_neighbours
    assert set(tasks[0].mode_neighbours) <= set(mmaml.load(run).modes)
    np.testing.assert_array_equal(*(task.predict_proba(digits.images[:9]) for task in tasks))
    assert set(tasks[0].predict(digits.images[:9])) <= {"a", "b"}


def test_adapt_answers_machines_and_wants_pictures_in_every_class_folder(capsys, run, shapes):
    (shapes / "support" / "bright" / "._0.png").write_bytes(b"what macOS leaves behind")
    command = "adapt {} --support {} --query {} --json"
    code, out, _ = mmaml_command(capsys, command, run, shapes / "support", shapes / "query")
    said = json.loads(out)
    assert code == 0 and [row["image"] for row in said["predictions"]] == ["0.png", "1.png", "2.png"]
    assert sum(said["mode_neighbours"].values()) == pytest.approx(1)
    (shapes / "support" / "empty").mkdir()
    code, _, err = mmaml_command(capsys, command, run, shapes / "support", shapes / "query")
    assert code == 2 and "empty has no images" in err


def test_pictures_may_be_files_or_pillow_s_or_arrays(run, shapes):
    files = [shapes / "support" / name / "0.png" for name in ("bright", "dark")]
    pictures = [Image.open(file) for file in files]
    palette = [picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256) for picture in pictures]
    ways = (files, list(map(str, files)), pictures, list(map(np.asarray, pictures)), palette)
    first, *others = [mmaml.load(run).adapt(way, labels=["a", "b"]).embedding for way in ways]
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-2)


def test_a_bright_picture_makes_no_other_darker(run):
    adapted = mmaml.load(run).adapt([np.full((8, 8), level, np.uint8) for level in (10, 200)], ["a", "b"])
    dark, bright = (Image.fromarray(np.full((8, 8), level, np.uint16)) for level in (1600, 65535))
    eight = [np.full((8, 8), level, np.uint8) for level in (100, 255)]
    with pytest.warns(Note, match="brighter than 12 bits can tell"):
        np.testing.assert_array_equal(adapted.predict_proba([dark, bright]), adapted.predict_proba(eight))


def test_bright_drawings_are_spoken_of_where_all_were_dark(run):
    model = mmaml.load(run)
    model = replace(model, config=replace(model.config, datasets=("omniglot",)))
    with pytest.warns(Note, match="white on black, and these images are mostly bright: invert them"):
        model.adapt([np.full((8, 8), 250, np.uint8)] * 2, ["a", "b"])


def test_a_model_remembers_how_many_bits_its_gray_pictures_had(run, tmp_path):
    replace(mmaml.load(run), bits=16).save(tmp_path / "deep.safetensors")
    deep = mmaml.load(tmp_path / "deep.safetensors")
    rng = np.random.default_rng(0)
    dark = [rng.integers(256, 4096, (8, 8)).astype(np.uint16) for _ in range(2)]
    pictures = [Image.fromarray(values) for values in dark]
    eights = [(values >> 8).astype(np.uint8) for values in dark]
    adapted, same = (deep.adapt(images, ["a", "b"]) for images in (pictures, eights))
    np.testing.assert_array_equal(adapted.embedding, same.embedding)
    np.testing.assert_array_equal(adapted.predict_proba(pictures), same.predict_proba(eights))


def test_what_the_support_set_shows_of_the_bits_holds_for_the_query(run):
    bright, dark = np.full((8, 8), 65535, np.uint16), np.full((8, 8), 2560, np.uint16)
    adapted = mmaml.load(run).adapt([Image.fromarray(bright), Image.fromarray(dark)], ["a", "b"])
    eight = [np.full((8, 8), level, np.uint8) for level in (10, 10)]
    deep = [Image.fromarray(dark)] * 2
    np.testing.assert_array_equal(adapted.predict_proba(deep), adapted.predict_proba(eight))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A run on a folder of one's own that is called like a data set, named as seen from where it lies."""
    place = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for c in range(15):
        (place / "digits" / f"class{c}").mkdir(parents=True)
        for i in range(3):
            picture = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(picture).save(place / "digits" / f"class{c}" / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(f"train classification --data digits {TINY} --out run".split()) == 0
    return place / "run"


def test_a_folder_of_one_s_own_is_not_taken_for_a_data_set(own):
    result = json.loads((own / "result.json").read_text())
    assert result["data"] == "digits" and mmaml.load(own).channels == 3
    reference = result["reference"]
    assert reference["name"] == "nearest mean picture" and 0 < reference["mean"] < 1
    assert result["excess"]["mean"] == pytest.approx(result["stages"][-1]["mean"] - reference["mean"], abs=1e-6)
    assert ClassificationExperiment(mmaml.load(own).config).sources.train.sources[0].images.shape[0] == 10 * 3


def test_a_run_on_one_s_own_pictures_can_be_judged_from_anywhere(capsys, own, tmp_path, monkeypatch):
    before = json.loads((own / "result.json").read_text())["stages"]
    monkeypatch.chdir(tmp_path)
    code, out, _ = mmaml_command(capsys, "evaluate {} --json", own)
    assert code == 0 and json.loads(out)["stages"] == before


def test_a_run_refuses_other_pictures_than_it_began_with(capsys, own, tmp_path):
    moved = tmp_path / "digits"
    shutil.copytree(own.parent / "digits", moved)
    config = replace(mmaml.load(own).config, data=(str(moved),))
    ClassificationExperiment(config)
    (moved / "class0").rename(moved / "another")
    with pytest.raises(UserError, match="digits does not hold what this run was begun with"):
        ClassificationExperiment(config)


def test_a_run_refuses_a_named_data_set_that_is_another_than_it_began_with(run, monkeypatch):
    config = mmaml.load(run).config
    assert len(config.data_digests) == 2
    ClassificationExperiment(config)
    monkeypatch.setattr("mmaml.classification.sources.find", lambda name: replace(find("digits-negative"), name=name))
    with pytest.raises(UserError, match=r"digits does not hold what this run was begun with.* or set MMAML_DATA to"):
        ClassificationExperiment(config)


def test_only_a_model_of_one_s_own_pictures_looks_at_each_alone(own, run):
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 255, (9, 9, 9, 3), dtype=np.uint8))
    alone = mmaml.load(own).adapt(pictures[:3], labels=list("abc"))
    together = alone.predict_proba(pictures)
    np.testing.assert_allclose(alone.predict_proba(pictures[4:5]), together[4:5], atol=1e-5)
    with pytest.warns(Note, match="1 images are classified by a model that normalises them together"):
        mmaml.load(run).adapt(pictures[:3], labels=list("abc")).predict_proba(pictures[4:5])


def test_few_validation_classes_are_spoken_of(own):
    with pytest.warns(Note, match="validation tasks are of 2 classes and not of 3, since digits has no more"):
        ClassificationExperiment(replace(mmaml.load(own).config, way=3, data=(str(own.parent / "digits"),)))


@pytest.mark.parametrize(
    ("validation", "way", "notes"), [((4, 3), 3, 1), ((5, 4), 4, 0), ((1, 3), 3, 2), ((0, 9), 4, 1)]
)
def test_episodes_of_validation_take_as_many_classes_as_every_set_has(monkeypatch, recwarn, validation, way, notes):
    """Sets with one class or none for it are validated on what they are trained on, of which they have more images."""

    def image_set(name):
        split = np.repeat([0, 1, 2], [6, validation[name == "b"], 4]).astype(np.uint8)
        labels = np.repeat(np.arange(len(split)), np.where(split == 0, 7, 5)).astype(np.int32)
        images = np.zeros((len(labels), 8, 8, 1), np.uint8)
        return ImageSet(name, images, labels, tuple(map(str, range(len(split)))), split)

    monkeypatch.setattr("mmaml.classification.sources.find", image_set)
    config = replace(PRESETS["classification-2"], datasets=("a", "b"), way=4, shot=1, queries=3, image_size=8)
    sources = make_sources(config)
    assert [part.way for part in sources.train.sources + sources.test.sources] == [4] * 4
    assert [part.way for part in sources.validation.sources] == [way] * 2
    expected = [count if count > 1 else 6 for count in validation]
    assert [len(part.counts) for part in sources.validation.sources] == expected
    assert sources.validation.sample(jr.key(0), 2).query.inputs.shape == (2, 3 * way, 8, 8, 1)
    assert sum(issubclass(warning.category, Note) for warning in recwarn) == notes


def test_validation_draws_other_tasks_than_training(own, monkeypatch):
    """Where training classes choose the checkpoint, it must not be by the very episodes that it has learnt from."""
    experiment = ClassificationExperiment(mmaml.load(own).config)
    drawn, module = [], "mmaml.classification.experiment"
    monkeypatch.setattr(f"{module}._of_tasks", lambda source, key, *rest: drawn.append(key) or stop())
    with pytest.raises(StopIteration):
        experiment.validate(experiment.trainer.learner)
    keys = {
        tuple(jr.key_data(jr.fold_in(key, i)).tolist()) for key in (experiment.trainer.key, *drawn) for i in range(9)
    }
    assert len(keys) == 2 * 9


def stop():
    raise StopIteration


@pytest.fixture
def by_brightness(monkeypatch):
    """A learner's result on a task is how bright the query images are."""
    monkeypatch.setattr(
        "mmaml.classification.experiment.evaluate_tasks",
        lambda learner, tasks, *_, **__: np.asarray(tasks.query.inputs.mean((1, 2, 3, 4)))[:, None],
    )


def small_experiment(**options):
    small = {"budget": "smoke", "learner": "maml", "way": 3, "queries": 2, "channels": (4,), "image_size": 8}
    return ClassificationExperiment(replace(PRESETS["classification-2"], **small | options))


def test_validation_classes_choose_and_test_classes_judge(by_brightness):
    def shaded(shade):
        images = np.full((4, 2, 2, 1), shade, np.uint8)
        return Mixture((ImageTasks(images, np.full(2, 2), way=2, shot=1, queries=1, name="a"),), ("a",))

    experiment = small_experiment()
    learner, parts = experiment.trainer.learner, {split: shaded(51 * i) for i, split in enumerate(SPLITS)}
    experiment.sources = replace(experiment.sources, **parts)
    assert experiment.validate(learner)["query"] == pytest.approx(0.2)
    assert experiment.evaluate(learner, 20, None).values.mean() == pytest.approx(0.4)


def test_every_seed_is_judged_on_the_same_tasks_of_which_none_comes_twice(by_brightness):
    one, other = (small_experiment(seed=seed) for seed in (0, 1))
    learner = one.trainer.learner
    values, same = (experiment.evaluate(learner, 50, None).values for experiment in (one, other))
    np.testing.assert_array_equal(values, same)
    assert values.shape == (50, 1) and len(np.unique(values)) == 50


def test_as_many_tasks_are_differentiated_at_a_time_as_asked_for():
    assert small_experiment(task_microbatch=3).trainer.task_microbatch == 3


def test_only_training_images_are_augmented():
    sources = make_sources(replace(PRESETS["classification-2"], budget="smoke", augment=True, image_size=8))
    parts = [sources.train, sources.validation, sources.test]
    assert [{tasks.augment for tasks in part.sources} for part in parts] == [{True}, {False}, {False}]


def test_of_equal_checkpoints_the_first_is_kept(own):
    better = ClassificationExperiment(mmaml.load(own).config).better
    assert [better({"query": value}, {"query": 0.5}) for value in (0.4, 0.5, 0.6)] == [False, False, True]


def test_a_folder_of_one_s_own_called_omniglot_is_treated_as_any_other(tmp_path):
    for c in range(10):
        (tmp_path / "omniglot" / f"class{c}").mkdir(parents=True)
        for i in range(3):
            Image.new("L", (5, 5)).save(tmp_path / "omniglot" / f"class{c}" / f"{i}.png")
    own = replace(PRESETS["classification"], data=(str(tmp_path / "omniglot"),), way=2, queries=1, image_size=5)
    (tasks,) = make_sources(own).train.sources
    assert tasks.name == "omniglot" and tasks.augment and not tasks.rotate
    assert published_rates(own, ("omniglot",)) == ((0.01,) * 5,)


@pytest.mark.parametrize(("way", "omniglot"), [(5, (0.4, 0.0, 0.0, 0.0, 0.0)), (20, (0.1,) * 5)])
def test_multi_maml_has_the_published_step_sizes(way, omniglot):
    config = replace(PRESETS["classification-2"], way=way)
    assert published_rates(config, ("omniglot", "tiny-imagenet-100")) == (omniglot, (0.01,) * 5)


def test_a_run_from_before_there_was_a_choice_of_precision_stays_in_single():
    stored = to_dict(PRESETS["classification-2"])
    del stored["precision"]
    assert from_dict(ClassificationConfig, stored).precision == "float32"


def test_sources_keep_the_classes_of_the_splits_apart():
    """From configuration to episode: no image of another split, over enough episodes to see all of its own."""
    small = {"budget": "smoke", "way": 12, "shot": 2, "queries": 150, "image_size": 8}
    sources = make_sources(replace(PRESETS["classification-2"], **small))
    digits = find("digits")
    for split, mixture in zip(SPLITS, (sources.train, sources.validation, sources.test), strict=True):
        tasks = eqx.filter_jit(mixture.sample)(jr.key(0), 40)
        images = np.concatenate([tasks.support.inputs, tasks.query.inputs], 1)[np.asarray(tasks.mode) == 0]
        seen = {image.tobytes() for image in np.round(images * 255).astype(np.uint8).reshape(-1, 8 * 8)}
        own = digits.of_split(split, side=8, channels=1).images.reshape(-1, 8 * 8)
        assert seen == {image.tobytes() for image in own}


def test_a_stopped_run_resumed_ends_like_one_that_never_was(capsys, run, tmp_path, monkeypatch):
    step, stop = MetaTrainer.run, signal.getsignal(signal.SIGINT)

    def interrupted(self, state, iterations, at_most):
        signal.raise_signal(signal.SIGINT)
        return step(self, state, iterations, at_most)

    with monkeypatch.context() as patch:
        patch.setattr(MetaTrainer, "run", interrupted)
        code, _, err = mmaml_command(capsys, f"train classification-2 {TINY} --out {{}}", tmp_path / "run")
        assert code == 130 and "stopped at iteration 1" in err and signal.getsignal(signal.SIGINT) == stop
    assert mmaml_command(capsys, "resume {}", tmp_path / "run").code == 0
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (run, tmp_path / "run"))
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((4, 8, 8), np.uint8),
            list("abcd"),
            "4 classes; this model takes 2 to 3",
        ),
        (np.zeros((2, 8, 8), np.uint8), list("abc"), r"2 images, and labels of the shape \(3,\)"),
        (np.zeros((2, 8, 8), np.uint8), "ab", r"2 images, and labels of the shape \(\)"),
        (np.zeros((2, 8, 8), np.uint8), [None, "a"], "labels must be of one kind"),
        (np.zeros((2, 8, 8), np.uint8), ["a", 1], "labels must be of one kind"),
        (np.zeros((2, 8, 8), np.uint8), list("aa"), "1 classes; this model takes 2 to 3.$"),
        (np.zeros((8, 8, 3), np.uint8), list("ab"), "a single image was given; give a list"),
        (Path("a.png"), list("ab"), "a single image was given; give a list"),
        (Image.new("L", (8, 8)), list("ab"), "a single image was given; give a list"),
        (np.zeros((2, 8, 8), float), list("ab"), "an image is float64 of the shape"),
        ([], [], "there are no images"),
    ],
)
def test_model_says_what_is_wrong_with_its_input(run, images, labels, message):
    with pytest.raises(ValueError, match=message):
        mmaml.load(run).adapt(images, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--way 1", "--way is 1, but must be at least 2"),
        ("--way 17", "digits has 16 classes, fewer than the 17 of an episode"),
        ("--shot 400", "take 402"),
        ("--image-size 0", "--image-size is 0, but must be from 1 to 1024"),
        ("--learner multi-maml --inner-lr 0.3", "--inner-lr is 0.3, but must be the default with the published"),
        ("--learner multi-maml --step-sizes per-layer", "or add --mode-rates shared"),
        ("--learner multi-maml --inner-steps 0", "--inner-steps is 0, but must be at least 1, or add --mode-rates"),
        ("--data nowhere", "--datasets is ('omniglot', 'mini-imagenet'), but must be left out with --data"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(capsys, tmp_path, options, message):
    text = f"train classification-2 --budget smoke --queries 2 {options} --out {{}}"
    code, _, err = mmaml_command(capsys, text, tmp_path / "run")
    assert code == 2 and message in err and not (tmp_path / "run").exists()


def test_own_images_that_are_nowhere_are_named(capsys, tmp_path):
    code, _, err = mmaml_command(capsys, "train classification --data nowhere --out {}", tmp_path / "run")
    assert code == 2 and "nowhere is not a data set; these are omniglot" in err


def test_a_data_set_that_is_not_here_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MMAML_DATA", str(tmp_path))
    code, _, err = mmaml_command(capsys, "train omniglot --budget demo --out {}", tmp_path / "run")
    assert code == 2 and "mmaml data fetch omniglot" in err


def test_folders_of_one_name_are_refused(capsys, tmp_path):
    for i in range(2):
        for c in "abcd":
            (tmp_path / str(i) / "moths" / c).mkdir(parents=True)
            for j in range(3):
                Image.new("RGB", (5, 5)).save(tmp_path / str(i) / "moths" / c / f"{j}.png")
    paths = [tmp_path / str(i) / "moths" for i in range(2)]
    code, _, err = mmaml_command(capsys, "train classification --data {} {} --out {}", *paths, tmp_path / "run")
    assert code == 2 and "named moths, moths" in err


def test_own_pictures_are_trained_on(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("photos", "sketches"):
        for i in range(8):
            folder = tmp_path / kind / f"class{i}"
            folder.mkdir(parents=True)
            for j in range(3):
                Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(folder / f"{j}.png")
    Image.fromarray(np.full((9, 9), 65535, np.uint16)).save(tmp_path / "sketches" / "class0" / "0.png")
    packed = shutil.make_archive(str(tmp_path / "drawings"), "zip", tmp_path / "sketches")
    text = f"train classification --data {{}} {{}} {TINY} --way 2 --json --out {{}}"
    code, out, _ = mmaml_command(capsys, text, tmp_path / "photos", packed, tmp_path / "run")
    result = json.loads(out)
    assert code == 0 and result["data"] == "photos, drawings"
    assert "test classes are 2 of photos, 2 of drawings; " in result["note"]
    few = [str(tmp_path / "photos" / name / "0.png") for name in ("class0", "class1")]
    model = mmaml.load(tmp_path / "run")
    assert model.adapt(np.array(few), ["a", "b"]).classes_.tolist() == ["a", "b"]
    assert model.bits == 16
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    code, _, err = mmaml_command(capsys, "resume {}", tmp_path / "run")
    assert code == 2 and f"begun with the images in {tmp_path / 'photos'}, where nothing is any more" in err


def test_a_class_that_is_too_small_is_named_and_kinds_are_no_classes(capsys, tmp_path):
    for kind in ("photos", "sketches"):
        for i in range(8):
            folder = tmp_path / "all" / kind / f"class{i}"
            folder.mkdir(parents=True)
            for j in range(2 if i == 5 else 4):
                Image.new("RGB", (9, 9), (i, j, 0)).save(folder / f"{j}.png")
    command = f"train classification {TINY} --way 2 --queries 3 --out {tmp_path / 'run'} --data {{}}"
    code, _, err = mmaml_command(capsys, command, tmp_path / "all" / "photos")
    assert code == 2 and "The smallest is class5 with 2 images. Lower --shot" in err
    code, _, err = mmaml_command(capsys, command, tmp_path / "all")
    assert code == 2 and f"it is a kind of its own: give {tmp_path / 'all' / 'photos'} and the others" in err


def test_it_learns_without_compiling_anew():
    config = replace(
        PRESETS["classification-2"],
        budget="smoke",
        meta_iterations=80,
        way=3,
        queries=4,
        image_size=8,
        channels=(16, 32),
        embedding=8,
        inner_steps=2,
        inner_lr=0.1,
        meta_lr=3e-3,
    )
    experiment = ClassificationExperiment(config)
    trainer = experiment.trainer
    compiled = compilations()
    state, _ = trainer.run(trainer.initial_state(), 20, 20)
    seen = len(compiled)
    for _ in range(3):
        state, history = trainer.run(state, 20, 20)
    assert len(compiled) == seen
    assert np.mean(history["loss"]) < 0.5  # from log 3 = 1.1
    values = experiment.evaluate(trainer.learner_at(state), 60, None).values
    assert values[:, -1].mean() > 0.6  # on digits it has not seen; chance is 1/3


def test_the_table_of_omniglot_alone_has_the_images_and_step_sizes_maml_was_published_with():
    cells = {name: OMNIGLOT.config(name, "mmaml", "paper", 0) for name in OMNIGLOT.settings}
    assert {name: (c.inner_lr, c.inner_steps) for name, c in cells.items()} == {
        "5-way 1-shot": (0.4, 1),
        "5-way 5-shot": (0.4, 1),
        "20-way 1-shot": (0.1, 5),
        "20-way 5-shot": (0.1, 5),
    }
    assert {(c.datasets, c.side) for c in cells.values()} == {(("omniglot",), 28)}


def test_table2_has_the_paper_s_27_cells():
    """Typed from the paper's Table 2: 5-way 1-shot, 5-way 5-shot and 20-way 1-shot, in per cent."""
    rows = {
        (2, "maml"): (66.80, 77.79, 44.69),
        (2, "multi-maml"): (66.85, 73.07, 53.15),
        (2, "mmaml"): (69.93, 78.73, 47.80),
        (3, "maml"): (54.55, 67.97, 28.22),
        (3, "multi-maml"): (55.90, 62.20, 39.77),
        (3, "mmaml"): (57.47, 70.15, 36.27),
        (5, "maml"): (44.09, 54.41, 28.85),
        (5, "multi-maml"): (45.46, 55.92, 33.78),
        (5, "mmaml"): (49.06, 60.83, 33.97),
    }
    episodes = {"5-way 1-shot": (5, 1, 10), "5-way 5-shot": (5, 5, 10), "20-way 1-shot": (20, 1, 5)}
    modes = ("omniglot", "mini-imagenet", "fc100", "cub", "aircraft")
    for (count, method), numbers in rows.items():
        for (name, expected), number in zip(episodes.items(), numbers, strict=True):
            setting = f"{count} modes, {name}"
            assert TABLE2.paper[method, "post-adaptation"][setting] == pytest.approx(number / 100)
            config = TABLE2.config(setting, method, "paper", 0)
            assert (config.way, config.shot, config.meta_batch) == expected and config.learner == method
            assert config.datasets == modes[:count] and config.side == 84
    assert sum(map(len, TABLE2.paper.values())) == 27


def test_the_table_of_omniglot_alone_has_the_numbers_of_maml_s_paper():
    numbers = {"5-way 1-shot": 98.7, "5-way 5-shot": 99.9, "20-way 1-shot": 95.8, "20-way 5-shot": 98.9}
    assert OMNIGLOT.paper == {("maml", "post-adaptation"): pytest.approx({n: p / 100 for n, p in numbers.items()})}
