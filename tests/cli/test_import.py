"""`gcn-jax import`: a file becomes a workdir, which the other commands take."""

import hashlib
import json
import re

import jax
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from gcn_jax import models
from gcn_jax.cli import evaluate, import_, predict, process, verify
from gcn_jax.data import prepare
from gcn_jax.data.builders.class_counts import data_set_with
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.errors import UserError
from gcn_jax.hub import weights_file
from gcn_jax.models.network import variable_shapes
from gcn_jax.report import training_report
from gcn_jax.training import default_config
from gcn_jax.training import imported as imported_module
from gcn_jax.training.config import check_config, check_same_run
from gcn_jax.training.initial_weights import start_variables, with_preprocessing
from gcn_jax.weights.published.load import Published
from gcn_jax.weights.published.registry import identify
from gcn_jax.workdir import Origin, Workdir
from tests.helpers import published_networks as published
from tests.helpers.fake_hub import FakeHub
from tests.helpers.published_data import make_voc

HOMEPAGE = "https://github.com/wkentaro/pytorch-fcn"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small FCN-32s for VOC's classes, as wkentaro's DataParallel would save it."""
    path = tmp_path_factory.mktemp("published") / "fcn32s.safetensors"
    tensors = published.small_fcn(32, 21)
    safetensors.numpy.save_file({f"module.{name}": a for name, a in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def imported(file, tmp_path_factory):
    """The workdir that the command wrote."""
    workdir = tmp_path_factory.mktemp("runs") / "fcn32s_voc"
    process.call(import_, [str(file), "--workdir", str(workdir)])
    return workdir


def run(capsys, verb, *words):
    process.call(verb, [str(word) for word in words])
    return capsys.readouterr().out


def test_the_command_says_what_it_found_and_what_comes_next(file, tmp_path, capsys):
    out = run(capsys, import_, file, "--workdir", tmp_path / "run", "--network", "fcn32s_vgg16")
    lines = " ".join(out.split())
    assert "FCN of wkentaro/pytorch-fcn: fcn32s_vgg16 (num_classes=21, width=0.03125)" in lines
    assert "classes: background, aeroplane, bicycle" in lines
    assert f"licence: MIT (the code's; the files name none of their own); {HOMEPAGE}" in lines
    assert re.search(r"next: gcn-jax predict --ckpt \S+/run photo.jpg gcn-jax evaluate", lines)


def test_a_workdir_says_what_it_is_and_whence_it_came(file, imported):
    info = models.read_info(imported)
    assert (info.name, info.fields) == ("fcn32s_vgg16", {"num_classes": 21, "width": 1 / 32})
    assert info.class_names == VOC_CLASSES.names
    assert info.palette[1] == (128, 0, 0)
    assert info.mean == (122.67891434, 116.66876762, 104.00698793)
    assert info.std == (1.0, 1.0, 1.0)
    assert Workdir(imported).read_origin() == Origin(
        source=str(file),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        family="FCN of wkentaro/pytorch-fcn",
        licence="MIT (the code's; the files name none of their own)",
        homepage=HOMEPAGE,
    )
    settings = Workdir(imported).read_config()
    assert settings["data"]["val"] == "voc_segmentation:val"
    assert settings["model"]["width"] == 1 / 32
    assert Workdir(imported).newest_step() == 0


def test_its_variables_are_those_of_the_file(imported):
    pretrained = models.load_pretrained(imported)
    found = identify(published.small_fcn(32, 21))
    expected = found.family.convert(found.tensors, pretrained.model)
    jax.tree.map(np.testing.assert_array_equal, pretrained.variables["params"], expected["params"])
    kernel = pretrained.variables["params"]["backbone"]["stage1"]["conv1"]["kernel"]
    source = published.small_fcn(32, 21)["conv1_1.weight"]
    np.testing.assert_array_equal(kernel, source.transpose(2, 3, 1, 0)[:, :, ::-1])


def test_the_other_commands_take_it(imported, tmp_path, capsys):
    assert run(capsys, verify, imported) == "step 0: whole\n"
    make_voc(tmp_path / "voc")
    options = {"manual_dir": str(tmp_path / "voc"), "data_dir": str(tmp_path / "data")}
    prepare(make_builder("voc_segmentation", options))
    flags = [f"--{key}={value}" for key, value in options.items()]
    scores = tmp_path / "scores.json"
    run(capsys, evaluate, "--ckpt", imported, "--json", scores, "--batch_size=2", *flags)
    settings = json.loads(scores.read_text())["settings"]
    assert (settings["step"], settings["split"]) == (0, "voc_segmentation:val")
    image = next((tmp_path / "voc").rglob("*.jpg"))
    run(capsys, predict, "--ckpt", imported, image, "--output", tmp_path)
    model, variables = models.from_pretrained(imported)
    labels = models.predict(model, variables, np.asarray(Image.open(image)))
    np.testing.assert_array_equal(Image.open(tmp_path / f"{image.stem}.png"), labels)
    config = Workdir(imported).read_config()
    config |= {"data": config["data"] | options, "eval_batch_size": 2}
    copied = tmp_path / "copied"
    copied.mkdir()
    for part in imported.iterdir():
        if part.name != "config.json":
            (copied / part.name).symlink_to(part)
    (copied / "config.json").write_text(json.dumps(config))
    page = training_report(copied, tmp_path / "page.html").read_text()
    assert "Imported network; the scores are those of its best checkpoint" in page
    assert HOMEPAGE in page
    assert "All settings" not in page


def test_a_run_starts_from_it_in_a_workdir_of_its_own(imported, tmp_path):
    config = default_config()
    config.init_from, config.init_except = str(imported), ("score_fr",)
    filled = with_preprocessing(config, tmp_path)
    assert tuple(filled.data.mean) == (122.67891434, 116.66876762, 104.00698793)
    model = models.create_model("fcn32s_vgg16", num_classes=3, width=1 / 32)
    seed = {"batch_stats": {}, **variable_shapes(model)}
    start = start_variables(config, model, seed)
    there = models.load_pretrained(imported).variables["params"]["backbone"]
    jax.tree.map(np.testing.assert_array_equal, start["params"]["backbone"], there)
    assert start["params"]["score_fr"] == seed["params"]["score_fr"]
    with pytest.raises(UserError, match=r"an imported network; .* --config.init_from=\S+_voc$"):
        check_same_run(config, imported)


def test_its_settings_are_those_of_a_run(imported):
    config = default_config()
    settings = json.loads((imported / "config.json").read_text())
    config.model = settings.pop("model")
    config.update(settings)
    check_config(config)


def test_a_folder_with_a_network_is_left_as_it_is(file, imported):
    before = {path: path.read_bytes() for path in imported.glob("*.json")}
    with pytest.raises(UserError, match="fcn32s_voc holds a network already; name another"):
        process.call(import_, [str(file), "--workdir", str(imported)])
    assert {path: path.read_bytes() for path in imported.glob("*.json")} == before


def test_an_import_that_was_interrupted_is_made_again(file, tmp_path, monkeypatch):
    workdir, words = tmp_path / "run", [str(file), "--workdir", str(tmp_path / "run")]

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(imported_module, "write_info", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process.call(import_, [*words, "--field", "learn_upsampling=True"])
    assert Workdir(workdir).newest_step() == 0
    with pytest.raises(UserError, match="has no model.json"):
        models.from_pretrained(workdir)
    process.call(import_, words)
    assert "upscore32" not in models.load_pretrained(workdir).variables["params"]


def test_checkpoints_of_something_else_are_left(file, tmp_path):
    (tmp_path / "checkpoints/7").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a network already"):
        process.call(import_, [str(file), "--workdir", str(tmp_path)])
    assert Workdir(tmp_path).newest_step() == 7


def test_a_mistake_leaves_no_folder(file, tmp_path):
    workdir = tmp_path / "run"
    for words, message in (
        (
            [file, "--network", "segnet"],
            "fcn32s.safetensors: these are the weights of fcn32s_vgg16",
        ),
        ([tmp_path / "none.pth"], "none.pth: no such file of weights"),
        ([file, "--field", "depth=3"], "unknown field of fcn32s_vgg16 'depth'"),
        (
            [file, "--field", "width=0.5"],
            "31 unequal shapes (in Flax layout): fc6.bias (128,) for (2048,)",
        ),
        ([file, "--classes", tmp_path / "none.txt"], "none.txt: no such file of class names"),
        ([], "this verb needs FILE or hf://owner/name"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            process.call(import_, [*map(str, words), "--workdir", str(workdir)])
        assert not workdir.exists()


def test_classes_are_named_by_a_file_or_by_their_numbers(tmp_path, capsys):
    weights = tmp_path / "fcn.safetensors"
    safetensors.numpy.save_file(published.small_fcn(32, 3), weights)
    names = tmp_path / "mine.txt"
    names.write_text("road\nsky\ntree\n")
    for words, expected in (
        ([], ("class 0", "class 1", "class 2")),
        (["--classes", names], ("road", "sky", "tree")),
    ):
        workdir = tmp_path / f"run{len(words)}"
        process.call(import_, [str(weights), "--workdir", str(workdir), *map(str, words)])
        assert models.read_info(workdir).class_names == expected
        assert Workdir(workdir).read_config()["data"]["val"] == "folder:val"
        assert f"evaluate --ckpt {workdir} --manual_dir my_data\n" in capsys.readouterr().out
    names.write_text("road\nsky\n")
    with pytest.raises(UserError, match="has 3 classes, and 2 are named"):
        process.call(
            import_, [str(weights), "--workdir", str(tmp_path / "new"), "--classes", str(names)]
        )
    names.write_text("road\nsky\nroad\n")
    with pytest.raises(UserError, match=r"^\S*mine.txt must hold .* it has 'road' more than once"):
        process.call(
            import_, [str(weights), "--workdir", str(tmp_path / "new"), "--classes", str(names)]
        )


def test_a_field_without_parameters_can_be_another(tmp_path, file):
    words = ["--field", "dtype=bfloat16", "--field", "remat=True"]
    process.call(import_, [str(file), "--workdir", str(tmp_path / "run"), *words])
    fields = models.read_info(tmp_path / "run").fields
    assert (fields["dtype"], fields["remat"]) == ("bfloat16", True)
    assert models.load_pretrained(tmp_path / "run").model.remat


def test_the_number_of_classes_names_a_data_set():
    for count, name, second in (
        (11, "camvid", "building"),
        (19, "cityscapes", "sidewalk"),
        (21, "voc_segmentation", "aeroplane"),
        (150, "ade20k", "building"),
    ):
        found, classes = data_set_with(count)
        assert (found, len(classes.names), classes.names[1]) == (name, count, second)
    assert data_set_with(12) is None


def test_names_of_classes_are_those_beside_the_file(file):
    found = identify(published.small_fcn(32, 21))
    described = imported_module._describe
    whole = Published(found.family, found.identity, {}, "00")
    assert described(whole, None, "a")[0].class_names == VOC_CLASSES.names
    parts = tuple(f"part {i}" for i in range(21))
    info, data_set = described(whole._replace(class_names=parts), None, "a")
    assert (info.class_names, data_set) == (parts, "folder")
    theirs = tuple(name.upper() + ", or so" for name in VOC_CLASSES.names)
    info, data_set = described(whole._replace(class_names=theirs), None, "a")
    assert (info.class_names, data_set) == (VOC_CLASSES.names, "voc_segmentation")


def test_a_repository_has_one_file_or_the_file_is_named(file, tmp_path, monkeypatch):
    hub = FakeHub(tmp_path / "hub", monkeypatch)
    folder = hub.folder("somebody/fcn")
    (folder / "README.md").write_text("FCN")
    workdir = tmp_path / "run"
    with pytest.raises(UserError, match=r"hf://somebody/fcn has no file that ends in \('.safet"):
        process.call(import_, ["hf://somebody/fcn", "--workdir", str(workdir)])
    (folder / "weights").mkdir()
    (folder / "weights/fcn32s.safetensors").symlink_to(file)
    process.call(import_, ["hf://somebody/fcn", "--workdir", str(workdir)])
    assert Workdir(workdir).read_origin().source == "hf://somebody/fcn"
    (folder / "model.safetensors").symlink_to(file)
    (folder / "pytorch_model.bin").write_bytes(b"the same, as a pickle")
    assert weights_file("hf://somebody/fcn/model.safetensors") == folder / "model.safetensors"
    (folder / "weights/fcn32s.safetensors").rename(folder / "spare")
    assert weights_file("hf://somebody/fcn") == folder / "model.safetensors"
    (folder / "model.safetensors").unlink()
    assert weights_file("hf://somebody/fcn") == folder / "pytorch_model.bin"
    (folder / "pytorch_model.bin").unlink()
    (folder / "spare").rename(folder / "weights/fcn32s.safetensors")
    (folder / "other.pth").symlink_to(file)
    with pytest.raises(
        UserError, match=r"has other.pth, weights/fcn32s.safetensors; .* hf://somebody/fcn/FILE"
    ):
        process.call(import_, ["hf://somebody/fcn", "--workdir", str(tmp_path / "second")])
    address = "hf://somebody/fcn@main/weights/fcn32s.safetensors"
    process.call(import_, [address, "--workdir", str(tmp_path / "second")])
    assert Workdir(tmp_path / "second").read_origin().source == address
    with pytest.raises(
        UserError, match="hf://somebody/absent: cannot be had from the hub .*; by hand fetch its"
    ):
        process.call(import_, ["hf://somebody/absent", "--workdir", str(tmp_path / "third")])


def test_a_repository_of_transformers_gives_classes_palette_and_preprocessing(
    tmp_path, monkeypatch, capsys
):
    folder = FakeHub(tmp_path / "hub", monkeypatch).folder("nvidia/segformer-b0-finetuned-ade")
    shapes = published.shapes("segformer_b0")
    for leaf in ("weight", "bias"):
        name = f"decode_head.classifier.{leaf}"
        shapes[name] = (150, *shapes[name][1:])
    safetensors.numpy.save_file(published.tensors(shapes), folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"the same, as a pickle")
    names = data_set_with(150)[1].names
    labels = {str(i): name.upper() for i, name in enumerate(names)}
    (folder / "config.json").write_text(json.dumps({"id2label": labels}))
    prepared = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.1, 0.25], "size": 512}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    address, workdir = "hf://nvidia/segformer-b0-finetuned-ade", tmp_path / "run"
    lines = " ".join(run(capsys, import_, address, "--workdir", workdir).split())
    assert "SegFormer of transformers: segformer_b0 (num_classes=150)" in lines
    assert "licence: NVIDIA Source Code License for SegFormer: for research and eval" in lines
    info = models.read_info(workdir)
    assert (info.class_names, len(info.palette)) == (names, 150)
    assert (info.mean, info.std) == ((127.5, 102.0, 76.5), (51.0, 25.5, 63.75))
    settings = Workdir(workdir).read_config()
    assert settings["augment"]["crop_size"] == [512, 512]
    assert settings["data"]["val"] == "ade20k:val"
