"""Show what networks could see, and what they look at.

    gcn-jax analysis receptive-field --model gcn_resnet50 --layer all
    gcn-jax analysis receptive-field --ckpt runs/a --compare runs/b --class rod --enlarge 2
    gcn-jax analysis receptive-field --stack 5

Prints the theoretical receptive field, stride and offset of the main layers of a network, of those
that --layer names, or of --layer=all.

With --ckpt, the workdir of a run, it also looks at one score, deep inside an object of an image:
at the effective field (by gradients) and the valid field (by occlusion with patches, of so many
pixels), in the image as it is and enlarged. The object is of the class that is given, or else the
largest that the labels show (in a FILE: that is predicted). The numbers are means over the images,
from number --index on, that have such an object; the figures are of the first. Figures (for each
run its fields, and NAME_stimulus.png, the patch that changes the score most) and numbers are
written to the folder --output.

With --stack it draws what one output of N 3 x 3 convolutions on top of each other sees, stack.png.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from gcn_jax import atomic, models
from gcn_jax.analysis.receptive_field import figures as rf_figures
from gcn_jax.analysis.receptive_field.sight import Scene, Sight, look, scene_on_object
from gcn_jax.analysis.receptive_field.tables import (
    Network,
    Sights,
    layer_table,
    numbers,
    sight_table,
)
from gcn_jax.analysis.receptive_field.theory import OUTPUT, receptive_fields
from gcn_jax.analysis.receptive_field.units import recentre
from gcn_jax.analysis.receptive_field.valid import PATCH, STRIDE
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments, key_and_value, run_names, settings_of
from gcn_jax.data.image_files import ImageFiles
from gcn_jax.errors import UserError, check_choice
from gcn_jax.terminal import make_console, progress, say
from gcn_jax.training.run_data import open_run_data

FLAGS = flags.FlagValues()


def _define(kind: Callable[..., Any], name: str, default: Any, text: str, *bounds: float) -> None:
    kind(name, default, text, *bounds, flag_values=FLAGS)


_define(flags.DEFINE_string, "model", None, "Name of a network, in place of a run.")
_define(flags.DEFINE_multi_string, "field", [], "KEY=VALUE of that network.")
_define(flags.DEFINE_integer, "stack", None, "So many 3 x 3 convolutions, to draw.", 1, 10)
_define(flags.DEFINE_string, "ckpt", None, "Workdir of a training run.")
_define(flags.DEFINE_string, "compare", None, "Workdir of a run to compare it with.")
_define(flags.DEFINE_string, "image", None, "An image file, in place of a split.")
_define(flags.DEFINE_string, "split", None, "Split of the run's data; by default its own.")
_define(flags.DEFINE_integer, "index", 0, "Which image of the split to begin with.", 0)
_define(flags.DEFINE_integer, "num_images", 1, "How many images.", 1)
_define(flags.DEFINE_string, "class", None, "Of the object; by default that of the largest.")
_define(flags.DEFINE_float, "enlarge", 2.0, "Factor of the enlarged image.", 1.0)
_define(flags.DEFINE_integer, "patch", PATCH, "Side of what is covered, in pixels.", 1)
_define(flags.DEFINE_integer, "stride", STRIDE, "Step between its places, in pixels.", 1)
_define(flags.DEFINE_list, "layer", [], "Layers to list, or all; by default the main ones.")
_define(flags.DEFINE_string, "output", "receptive_field", "Folder to write to.")
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Print the tables; write figures and `receptive_field.json`."""
    expect_arguments(arguments, "", 0)
    _check_flags()
    options = FLAGS
    console = make_console()
    if options.stack:
        _write({"stack.png": rf_figures.stack_of_3x3(options.stack)}, options.output)
        return
    if options.model:
        fields = dict(key_and_value("--field", field) for field in options.field)
        model = models.create_model(options.model, **{"num_classes": 21, **fields})
        console.print(layer_table(options.model, receptive_fields(model), options.layer))
        return
    networks = _load([path for path in (options.ckpt, options.compare) if path])
    for network in networks:
        console.print(layer_table(network.name, network.fields, options.layer))
    sights = _look_at_all(networks, _scenes(networks[0], options), options)
    console.print(sight_table(networks, sights))
    files: dict[str, str | bytes] = {**_figures(networks, sights)}
    results = {"settings": settings_of(FLAGS), **numbers(networks, sights)}
    files["receptive_field.json"] = json.dumps(results, indent=1)
    _write(files, options.output)


def _write(files: Mapping[str, str | bytes], folder: str) -> None:
    for name, content in files.items():
        atomic.write(Path(folder) / name, content)
        say(f"wrote {Path(folder) / name}")


def _check_flags() -> None:
    values = FLAGS
    if sum(value is not None for value in (values.ckpt, values.model, values.stack)) != 1:
        raise UserError(
            "receptive-field needs one of --ckpt=DIR, a run's workdir, --model=NAME and --stack=N"
        )
    if values.stack:
        for name in values:
            if values[name].present and name not in ("stack", "output"):
                raise UserError(f"--stack draws no network: drop --{name}; it takes --output alone")
    if values.image and (values.split or values.num_images > 1):
        raise UserError("--image is one image: drop --split and --num_images")


def _load(paths: Sequence[str]) -> list[Network]:
    loaded = map(models.load_pretrained, paths)
    return [
        Network(name, pretrained, receptive_fields(pretrained.model))
        for name, pretrained in zip(run_names(paths), loaded, strict=True)
    ]


# -------------------------------------------------------------------------------------- scenes
def _scenes(network: Network, options: flags.FlagValues) -> list[Scene]:
    """Return the images to look at, each with a unit deep inside an object."""
    class_names = network.pretrained.info.class_names
    name, number = options["class"].value, None
    if name is not None:
        check_choice("class", name, class_names)
        number = class_names.index(name)
    if options.image:
        info = network.pretrained.info
        image = ImageFiles([Path(options.image)], info.bit_depth, info.channels)[0]["image"]
        label = models.predict(network.pretrained.model, network.pretrained.variables, image)
        found = [scene_on_object(image, label, len(class_names), number)]
        where = f"what {network.name} predicts for {options.image}"
    else:
        source = open_run_data(options.ckpt, options.split)
        if not source.is_labelled:
            raise UserError(f"{source.name} has no labels to find an object by; give an --image")
        found, where = [], f"{source.name} from image {options.index} on"
        for index in range(options.index, len(source)):
            if sum(scene is not None for scene in found) == options.num_images:
                break
            sample = source[index]
            found.append(
                scene_on_object(sample["image"], sample["label"], len(class_names), number)
            )
    scenes = [scene for scene in found if scene is not None]
    if len(scenes) < options.num_images:
        raise UserError(
            f"{where} has {len(scenes)} images with {name or 'an object'}, not {options.num_images}"
        )
    return scenes


def _look_at_all(
    networks: Sequence[Network], scenes: Sequence[Scene], options: flags.FlagValues
) -> Sights:
    found: dict[tuple[str, float], list[Sight]] = {}
    scales = sorted({1.0, options.enlarge})
    total = len(networks) * len(scales) * len(scenes)
    with progress("covering") as show:
        for network in networks:
            model, variables, *_ = network.pretrained
            for scale in scales:
                seen = found[network.name, scale] = []
                size = {"patch": round(scale * options.patch)}
                size["stride"] = max(1, round(scale * options.stride))
                for scene in scenes:
                    scaled = scene if scale == 1 else scene.enlarged(scale)
                    seen.append(look(model, variables, scaled, **size))
                    show(sum(map(len, found.values())), total)
    return found


# ------------------------------------------------------------------------------------- figures
def _figures(networks: Sequence[Network], sights: Sights) -> dict[str, bytes]:
    """Draw what was seen, by the name of the file; of single images the first."""
    scales = sorted({scale for _, scale in sights})
    files = {}
    for network in networks:
        shown = [
            (f"{kind}, x {scale:g}", sights[network.name, scale][0], kind)
            for scale in scales
            for kind in ("effective", "valid")
        ]
        files[f"{network.name}.png"] = rf_figures.panels(shown)
        files[f"{network.name}_stimulus.png"] = _stimulus_figure(sights[network.name, scales[0]][0])
    if len(networks) == 2 and len(scales) == 2:
        three = (("A", 0, scales[0]), ("B", 0, scales[1]), ("C", 1, scales[1]))
        files["enlarged.png"] = rf_figures.panels(
            [
                (
                    f"{letter}  {networks[i].name}, image x {scale:g}",
                    sights[networks[i].name, scale][0],
                    "valid",
                )
                for letter, i, scale in three
            ]
        )
    if len(next(iter(sights.values()))) > 1:
        files["average.png"] = _average_figure(networks, sights)
    return files


def _stimulus_figure(sight: Sight) -> bytes:
    _, _, plain, covered = sight.stimulus
    titles = {
        "image": "image",
        "stimulus": f"noise in the red square, score {plain:.2f} to {covered:.2f}",
        "valid": "discrepancy, noise everywhere in turn",
    }
    return rf_figures.panels([(title, sight, kind) for kind, title in titles.items()])


def _average_figure(networks: Sequence[Network], sights: Sights) -> bytes:
    fields = []
    for (name, scale), seen in sights.items():
        network = next(network for network in networks if network.name == name)
        mean = recentre([sight.valid for sight in seen], [sight.scene.unit for sight in seen])
        fields.append((f"{name}, image x {scale:g}", mean, network.fields[OUTPUT]))
    return rf_figures.averages(fields)
