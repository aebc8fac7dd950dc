"""Every flag that README and docs name is one that the verb has."""

import ast
import re
from importlib import import_module
from importlib.metadata import metadata

import pytest

from gcn_jax import models
from gcn_jax.cli.config_flag import recipes
from gcn_jax.cli.main import VERBS, module_of
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.registry import BUILDERS
from gcn_jax.models.backbones import list_backbones
from gcn_jax.models.registry import MODELS, NETWORKS
from gcn_jax.training.config import default_config, flatten, model_settings
from tests.helpers.verbs import ROOT

TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS += [ROOT / "configs" / f"{name}.py" for name in recipes()]
VERB_FILES = sorted((ROOT / "gcn_jax/cli").rglob("*.py"))
COMMAND = re.compile(
    r"(?:gcn-jax |python -m gcn_jax |python (?=(?:train|evaluate|predict)\.py))([^`\n]*)"
)
FLAG = re.compile(r"(?<![\w-])--(?:no)?(?!xla_)([a-z]\w*(?:\.\w+)*)")
#: Commands of other programs, with flags of their own.
OTHERS = re.compile(
    r"(?:python -m (?:benchmarks|tests)|(?:pip|make|jupyter|srun|gcloud|#SBATCH) "
    r"|pytest|ruff|\.ci/)[^`\n]*"
)


def flags_of(verb):
    return {*import_module(f"gcn_jax.cli.{module_of(verb)}").FLAGS, "help"}


def flags_of_a_script(path):
    return re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', path.read_text())


FLAGS = {verb: flags_of(verb) for verb in VERBS}
SETTINGS = {*flatten(default_config().to_dict())}
for network in models.list_models():
    SETTINGS |= {f"model.{name}" for name in model_settings(network)}


def commands(text):
    """Yield the verb of each command in a text, and its flags."""
    for words in COMMAND.findall(text.replace("\\\n", " ")):
        words = re.sub(r"^(train|evaluate|predict)\.py", r"\1", words)
        words = re.split(r" +#|[;&|]", words)[0]
        yield next((verb for verb in VERBS if f"{words} ".startswith(f"{verb} ")), words), words


def unknown(flag, flags):
    """Return whether a flag is none of some, nor a setting for `--config`."""
    if flag.startswith("config.") and "config" in flags:
        key = flag.removeprefix("config.")
        return key not in SETTINGS and key not in ("KEY", "key", "X", "x")
    return flag not in flags


@pytest.mark.parametrize("path", [*TEXTS, *VERB_FILES], ids=lambda path: path.stem)
def test_commands_have_the_flags_that_they_are_written_with(path):
    text = path.read_text()
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text))
    for verb, words in commands(text):
        if verb in VERBS:
            assert [flag for flag in FLAG.findall(words) if unknown(flag, FLAGS[verb])] == [], words
        else:
            assert words.split("|")[0] in (
                "--help",
                "VERB",
                "train",
                "data",
                "analysis",
                "data prepare",
            )


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_flags_that_are_mentioned_are_those_of_some_verb(path):
    text = OTHERS.sub("", path.read_text().replace("\\\n", " "))
    every = set().union(*FLAGS.values(), *map(flags_of_a_script, ROOT.glob("benchmarks/*.py")))
    assert [flag for flag in FLAG.findall(text) if unknown(flag, every)] == []


def rows_of(page):
    """Return the first cells of the tables of a page, without their backticks."""
    cells = re.findall(r"^\| (`.+?`.*?) \|", (ROOT / page).read_text(), re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_site_has_a_row_for_every_verb_and_every_recipe():
    assert sorted(rows_of("docs/commands.md")) == sorted(f"gcn-jax {verb}" for verb in VERBS)
    assert sorted(rows_of("docs/recipes.md")) == sorted(recipes())


def test_the_first_lines_of_the_readme_are_commands_that_exist():
    text = (ROOT / "README.md").read_text()
    assert {verb for verb, _ in commands(text)} >= {"train", "evaluate", "predict", "data validate"}
    targets = {*re.findall(r"(?:^|`)make (\w+)", text, re.M)}
    assert targets == {"quickstart", "test", "docs"}
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)


def test_every_network_has_a_row():
    rows = rows_of("docs/networks.md")
    assert [name for name in models.list_models() if name not in rows] == []
    readme = rows_of("README.md")
    families = {cls: [n for n, (c, _) in MODELS.items() if c is cls] for cls, _ in NETWORKS}
    assert [cls for cls, names in families.items() if not {*names} & {*readme}] == []


def test_extras_that_are_told_to_install_exist():
    for page in ("README.md", "docs/getting_started.md"):
        told = {*re.findall(r"(?<!-)jax\[(\w+)\]", (ROOT / page).read_text())}
        assert {"cuda13", "tpu"} <= told
        assert told <= {*metadata("jax").get_all("Provides-Extra")}, page


def test_the_docs_name_every_backbone_and_every_published_data_set():
    rows = rows_of("docs/networks.md")
    assert [name for name in list_backbones() if name not in rows] == []
    archives = (ROOT / "docs/data.md").read_text().partition("\n## Archives\n")[2]
    rows = re.findall(r"^\| `(\w+)` \|", archives, re.M)
    published = [name for name, cls in BUILDERS.items() if issubclass(cls, PublishedBuilder)]
    assert sorted(rows) == sorted(published)


def test_the_search_finds_commands_and_flags():
    text = "python train.py --config a \\\n  --config.num_step=1 # --x\n`gcn-jax data show --b`"
    found = [(verb, FLAG.findall(words)) for verb, words in commands(text)]
    assert found == [("train", ["config", "config.num_step"]), ("data show", ["b"])]
    assert unknown("config.num_step", FLAGS["train"])
    assert not unknown("config.num_steps", FLAGS["train"])
    assert unknown("config.num_steps", FLAGS["evaluate"])
