"""Runs on images of 1, 4 and 5 channels, of 8 and 16 bits, from the folder to the verbs."""

import json
import re

import jax
import numpy as np
import pytest
from flax import traverse_util
from PIL import Image

from gcn_jax import export, models
from gcn_jax.cli.main import main
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.errors import UserError
from gcn_jax.training import default_config, preflight, train_and_evaluate
from gcn_jax.training.config import check_config
from gcn_jax.training.run_data import open_run_data
from tests.helpers.small_data import CLASS_NAMES, draw_example, save_mask


def make_folder(root, channels, dtype="uint8"):
    """Twenty grey noises with a disc and a square, which the last channel alone shows."""
    steps = 257 if dtype == "uint16" else 1
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("\n".join(CLASS_NAMES))
    for i in range(20):
        _, label = draw_example(rng, 32, 40)
        image = rng.integers(90 * steps, 150 * steps, (32, 40, channels), dtype)
        image[..., -1] = np.where(label == 255, 0, label).astype(dtype) * 100 * steps
        image[..., -1] += rng.integers(0, 50 * steps, (32, 40), dtype)
        save_mask(label, root / f"masks/{i}.png")
        if channels > 4:
            np.save(root / f"images/{i}.npy", image)
        else:
            Image.fromarray(image if channels > 1 else image[..., 0]).save(root / f"images/{i}.png")


def make_config(root, channels, **settings):
    config = default_config()
    config.num_devices = 1
    config.model.name = "_tiny"
    config.model.kernel_size = 5
    config.data.train, config.data.val = ("folder:train",), "folder:val"
    config.data.manual_dir, config.data.data_dir = str(root / "data"), str(root / "prepared")
    config.data.num_threads = 1
    config.data.channels = channels
    config.augment.crop_size, config.augment.jitter = (32, 48), 0.2
    config.batch_size, config.num_steps, config.eval_batch_size = 4, 2, 4
    config.trackers = ()
    config.update_from_flattened_dict(settings)
    return config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, "uint8"), (1, "uint16"), (4, "uint8"), (5, "uint8"), (5, "uint16")],
)
def test_from_the_folder_to_the_verbs(channels, dtype, tmp_path, capsys):
    make_folder(tmp_path / "data", channels, dtype)
    steps = 257 if dtype == "uint16" else 1
    config, workdir = make_config(tmp_path, channels), tmp_path / "run"
    if channels > 1:
        config.data.mean, config.data.std = (120.0,) * channels, (40.0,) * channels
    assert preflight.missing(config, workdir) == []
    train_and_evaluate(config, workdir)

    info = models.read_info(workdir)
    assert info.channels == info.fields["in_channels"] == channels
    assert (info.bit_depth, info.image_dtype) == (16 if steps > 1 else None, dtype)
    assert len(info.std) == channels
    if channels == 1:
        np.testing.assert_allclose(info.mean, [(123.675 + 116.28 + 103.53) / 3])
    model, variables = models.from_pretrained(workdir)
    source = open_run_data(workdir)
    example = source[0]
    assert (example["image"].shape, example["image"].dtype) == ((32, 40, channels), dtype)
    assert len(np.unique(example["image"])) > (256 if steps > 1 else 50)
    assert source.sampled_sizes == [(32, 40)] * len(source)
    mean, std = (np.asarray(one, np.float32) for one in (info.mean, info.std))
    padded = np.empty((32, 64, channels), np.float32)
    padded[...] = steps * np.rint(mean)
    padded[:, :40] = example["image"]
    logits = model.apply(variables, ((padded / steps - mean) / std)[None])
    labels = models.predict(model, variables, example["image"])
    np.testing.assert_array_equal(labels, np.argmax(logits[0], -1)[:, :40])
    with pytest.raises(UserError, match=rf"must be uint8 or uint16 \[H, W, {channels}\]"):
        models.predict(model, variables, np.zeros((8, 8, 3), np.uint8))

    main(["evaluate", f"--ckpt={workdir}", f"--json={tmp_path / 'a.json'}",
          f"--report={tmp_path / 'a.html'}"])  # fmt: skip
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    scores = json.loads((tmp_path / "a.json").read_text())
    np.testing.assert_allclose(scores["miou"], lines[-1]["val/miou"], atol=1e-4)

    suffix = "npy" if channels > 4 else "png"
    file = next(path for path in sorted((tmp_path / "data/images").iterdir())
                if path.name == f"{example['id']}.{suffix}")  # fmt: skip
    main(["predict", f"--ckpt={workdir}", str(file), f"--output={tmp_path / 'out'}"])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"out/{file.stem}.png")), labels)
    overlay = np.asarray(Image.open(tmp_path / f"out/{file.stem}_overlay.png"))[:32, :40]
    shown = np.rint(example["image"] / steps)
    shown = shown[..., :3] if channels > 3 else shown.repeat(3, axis=2)
    colors = np.asarray(info.palette, float)[labels]
    np.testing.assert_array_equal(overlay, np.rint(shown / 2 + colors / 2))

    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(SystemExit):
        main(["predict", f"--ckpt={workdir}", str(tmp_path / "rgb.png"),
              f"--output={tmp_path / 'out'}"])  # fmt: skip
    said = capsys.readouterr().err
    assert f"rgb.png: it has 3 channels, where data.channels is {channels}" in said

    main(["export", f"--ckpt={workdir}", f"--output={tmp_path / 'a'}", "--output_kind=labels"])
    exported = export.load(tmp_path / "a")(example["image"][None])
    np.testing.assert_array_equal(exported[0], labels)
    refused = [["demo"]] if channels > 1 else []
    if (channels, dtype) != (1, "uint8"):
        refused.append(["export", "--format=web", f"--output={tmp_path / 'b'}"])
    for words in refused:
        with pytest.raises(SystemExit) as ended:
            main([*words, f"--ckpt={workdir}"])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert re.search(rf"takes images of {channels} channels, .* browser", said)


def test_images_of_several_counts_are_refused_and_validation_names_them(tmp_path, capsys):
    make_folder(tmp_path / "data", 4)
    Image.fromarray(np.zeros((32, 40), np.uint8)).save(tmp_path / "data/images/3.png")
    (need, *_) = preflight.missing(make_config(tmp_path, 4), tmp_path / "run")
    assert "3.png: it has 1 channel, where data.channels is 4" in str(need.problem)
    with pytest.raises(SystemExit):
        main(["data", "validate", str(tmp_path / "data"), "--channels=4"])
    said = "".join(capsys.readouterr())
    assert "3.png: it has 1 channel, where data.channels is 4" in said
    assert said.count("where data.channels is") == 1


def test_mean_of_other_channels_is_told_or_asked_for(tmp_path):
    make_folder(tmp_path / "data", 4)
    with pytest.raises(UserError, match=r"mean and standard deviation of 4 channels.*data\.mean"):
        train_and_evaluate(make_config(tmp_path, 4), tmp_path / "run")
    config = make_config(tmp_path, 4)
    config.data.mean = (1.0, 2.0, 3.0)
    with pytest.raises(UserError, match=r"data.mean=\(1.0, 2.0, 3.0\): must be 4 numbers"):
        check_config(config)


def test_published_sets_are_rgb():
    with pytest.raises(UserError, match=r"data.channels is 4, .* images of camvid are read as RGB"):
        make_builder("camvid", {"channels": 4})


def test_summed_backbone_weights_are_said(tmp_path, monkeypatch, capsys):
    """Grey from RGB's kernel: what `load_backbone_weights` returns is what the run starts with."""
    from gcn_jax.models.network import variable_shapes
    from gcn_jax.training import initial_weights
    from gcn_jax.weights.first_kernel import with_channels

    make_folder(tmp_path / "data", 1)
    model = models.create_model("_tiny", num_classes=3, kernel_size=5)
    rng = np.random.default_rng(0)
    shapes = variable_shapes(model)
    rgb = jax.tree.map(
        lambda leaf: rng.uniform(0.5, 1, leaf.shape).astype(np.float32),
        {kind: tree["backbone"] for kind, tree in shapes.items()},
    )
    monkeypatch.setattr(
        initial_weights, "load_backbone_weights", lambda _, model, __: with_channels(rgb, 1)
    )
    config = make_config(tmp_path, 1, backbone_weights=str(tmp_path / "x.pth"), num_steps=1)
    config.optimizer.learning_rate = 1e-30
    state = train_and_evaluate(config, tmp_path / "run")
    assert "x.pth, its first kernel summed over RGB for 1 channel: _tiny" in capsys.readouterr().out
    before = traverse_util.flatten_dict(rgb["params"])
    ((path, kernel),) = [(k, leaf) for k, leaf in before.items() if leaf.shape[2:3] == (3,)]
    after = traverse_util.flatten_dict(state.params["backbone"])[path]
    np.testing.assert_allclose(after, kernel.sum(2, keepdims=True), rtol=1e-6)
