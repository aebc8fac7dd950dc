"""`--config`: recipes by name and by path, and settings that are wrong."""

import json
import textwrap
from pathlib import Path

import pytest
from absl import flags

from gcn_jax.cli import train
from gcn_jax.cli.config_flag import define_config, read_config, recipes
from gcn_jax.cli.main import main
from gcn_jax.errors import UserError
from gcn_jax.training.config import check_config
from tests.helpers.verbs import ROOT


def taken(*words, required=True):
    """Return the settings of a command line, and what else stands in it."""
    config = define_config(flags.FlagValues(), "", required=required)
    rest = config.take(words)
    return config, rest


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_is_the_same_by_name_and_by_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name, _ = taken("--config", name)
    by_path, _ = taken(f"--config={ROOT}/configs/{name}.py")
    assert by_name.name == by_path.name == name
    assert json.loads(by_name.value.to_json()) == json.loads(by_path.value.to_json())
    assert by_name.value.is_locked


@pytest.mark.parametrize("name", ["finetune", f"{ROOT}/configs/finetune.py"])
def test_a_recipe_takes_an_argument_behind_a_colon(name):
    config, rest = taken(f"--config={name}:segformer_b0", "--config.num_steps=7")
    assert rest == [f"--config={name}:segformer_b0"]
    assert (config.name, config.argument) == ("finetune_segformer_b0", "segformer_b0")
    assert (config.value.model.name, config.value.num_steps) == ("segformer_b0", 7)
    check_config(config.value)


def test_a_file_may_have_a_colon_in_its_name(tmp_path):
    path = tmp_path / "a:b.py"
    path.write_text((ROOT / "configs/finetune.py").read_text())
    assert taken(f"--config={path}")[0].value.model.name == "gcn_resnet18"
    config, _ = taken(f"--config={path}:segformer_b0")
    assert (config.name, config.value.model.name) == ("a:b_segformer_b0", "segformer_b0")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("finetune:segformer_b9", r"unknown model 'segformer_b9' \(did you mean"),
        (
            "finetun:segformer_b0",
            "finetun: there is no such recipe .did you mean finetune",
        ),
        ("voc:segformer_b0", r"get_config\(\) takes no argument; leave away :segformer_b0"),
        ("a/b.py:segformer_b0", "--config=a/b.py: no such file"),
    ],
)
def test_an_argument_that_cannot_be_taken_is_refused(value, message):
    with pytest.raises(UserError, match=message):
        taken("--config", value)


def test_settings_are_taken_and_the_rest_is_left():
    config, rest = taken(
        "--workdir", "a b", "--config.num_steps", "7", "--config=quickstart",
        "--config.optimizer.learning_rate=0.5", "--noconfig.augment.flip", "--config.remat",
        "--config.data.train=shapes:train", "--config.data.manual_dir=/a", "-x",
        "--config.augment.crop_size=(24, 20)", "--config.backbone_weights=hf://timm/a.b",
    )  # fmt: skip
    assert rest == ["--workdir", "a b", "--config=quickstart", "-x"]
    value = config.value
    assert (value.num_steps, value.optimizer.learning_rate, value.remat) == (7, 0.5, True)
    assert (
        value.augment.to_dict() | {"crop_size": (24, 20), "flip": False} == value.augment.to_dict()
    )
    assert value.data.train == ("shapes:train",)
    assert (value.data.manual_dir, value.backbone_weights) == ("/a", "hf://timm/a.b")
    assert value.model.name == "gcn_plain4"  # the recipe's


def test_none_undoes_what_a_recipe_sets():
    words = ("--config.backbone_weights=None", "--config.augment.crop_size=None")
    config, rest = taken("--config", "voc", *words, "--config.data.manual_dir=None.d")
    assert rest == ["--config", "voc"]
    assert (config.value.backbone_weights, config.value.augment.crop_size) == (None, None)
    assert config.value.data.manual_dir == "None.d"
    config, _ = taken("--config", "voc", "--config.num_steps=None")
    with pytest.raises(UserError, match="num_steps=None: must be a whole number from 1"):
        check_config(config.value)


def test_a_tuple_may_be_given_word_by_word():
    words = ("--config.data.train=a:train", "--config.data.train=b:train")
    config, rest = taken("--config", "quickstart", *words)
    assert config.value.data.train == ("a:train", "b:train")
    assert rest == ["--config", "quickstart"]


def test_without_config_the_defaults_stand_where_that_is_allowed():
    config, rest = taken("--augmented", "--config.augment.flip=false", required=False)
    assert rest == ["--augmented"]
    assert (config.path, config.value.augment.flip) == (None, False)
    assert config.value.augment.crop_size == (128, 128)
    config, rest = taken("--workdir=a")
    assert rest == ["--workdir=a"]
    assert config.path is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config=quikstart"], "--config=quikstart: there is no such recipe (did you mean quick"),
        (
            ["--config=nothing"],
            "--config=nothing: there is no such recipe and no such file; `gcn-j",
        ),
        (["--config=configs/none.py"], "--config=configs/none.py: no such file"),
        (["--config=common"], "--config=common: there is no such recipe"),
        (
            ["--config.nmae=1"],
            "--config.nmae: there is no setting 'nmae'; did you mean model.name?",
        ),
        (["--config.lr=1"], "--config.lr: there is no setting 'lr'; choose one of: "),
        (
            ["--config.optimizer.lr=1"],
            "--config.optimizer.lr: there is no setting 'optimizer.lr'; choose one of: "
            "optimizer.accumulate, ",
        ),
        (
            ["--config.optimiser.learning_rate=1"],
            "--config.optimiser.learning_rate: there is no setting 'optimiser.learning_rate'; did "
            "you mean optimizer.learning_rate?",
        ),
        (["--config.model.nosuch=1"], "--config.model.nosuch: there is no setting 'model.nosuch'"),
        (["--config.model.kernel_sizes=3"], "did you mean model.kernel_size?"),
        (["--noconfig.rmat"], "--config.rmat: there is no setting 'rmat'; did you mean remat?"),
        (["--config.augment=1"], "--config.augment is a section; its settings are augment.blur, "),
        (["--config.num_steps=many"], "--config.num_steps=many: give a whole number"),
        (["--config.num_steps=1.5"], "--config.num_steps=1.5: give a whole number"),
        (["--config.optimizer.momentum=x"], "--config.optimizer.momentum=x: give a number"),
        (["--config.remat=3"], "--config.remat=3: give true or false"),
        (["--config.augment.crop_size=a"], "--config.augment.crop_size=a: give numbers, as in (1"),
        (["--config.augment.crop_size=1, a("], "give a tuple, such as '(1, 2)'"),
        (["--config.num_steps"], "Missing value for flag --config.num_steps"),
    ],
)
def test_bad_settings_are_named_in_plain_words(words, message, capsys):
    config = [] if words[0].startswith("--config=") else ["--config=quickstart"]
    with pytest.raises(SystemExit) as ended:
        main(["train", *config, *words])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


GOOD = """
from gcn_jax.training import default_config

def get_config():
    config = default_config()
    config.num_steps = 5
    return config
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", r", line 1: invalid syntax"),
        ("import nothing_like_it\n", r", line 1: ModuleNotFoundError: No module named 'nothing_"),
        ("x = 1\n", r": there is no function get_config\(\) that returns the settings"),
        ("get_config = 3\n", r": there is no function get_config\(\)"),
        ("def get_config():\n    pass\n", r": get_config\(\) returns NoneType, not a ConfigDict"),
        (GOOD.replace("= 5", "= five"), r", line 6: NameError: name 'five' is not defined"),
        (
            GOOD.replace("num_steps", "num_step"),
            r": there is no setting 'num_step'; did you mean n",
        ),
        (
            GOOD.replace("num_steps", "optimizer.lr"),
            r": there is no setting 'optimizer.lr'; choose",
        ),
        (GOOD.replace("= 5", "= 'five'"), r", line 6: TypeError: .*num_steps"),
    ],
)
def test_a_config_file_that_fails_is_named_with_its_line(text, message, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"--config={file}{message}"):
        read_config(file)


def test_a_verb_that_ran_before_leaves_nothing_behind(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(textwrap.dedent(GOOD))
    seen = []
    monkeypatch.setattr(
        train, "run", lambda rest: seen.append((train.CONFIG.value, train.FLAGS.workdir))
    )
    main(["train", f"--config={file}", "--config.num_steps=3", "--workdir=a"])
    main(["train", f"--config={file}"])
    (first, first_folder), (second, second_folder) = seen
    assert (first.num_steps, first_folder) == (3, "a")
    assert (second.num_steps, second_folder) == (5, None)


def test_recipes_are_the_files_of_configs():
    files = {path.stem for path in Path(ROOT, "configs").glob("*.py")}
    assert recipes().keys() == files - {"__init__", "common"}
