"""The command `gcn-jax`: verbs, their help, and what a wrong word is told."""

import importlib
import re
import subprocess
import sys

import pytest

import gcn_jax
from gcn_jax.cli.main import VERBS, main, module_of


def said_by(capsys, *words, code=None):
    """Run the command here; return what it prints, or its errors where it ends with a code."""
    if code is None:
        main(words)
        out, err = capsys.readouterr()
        assert err == ""
        return out
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    out, err = capsys.readouterr()
    assert out == ""
    return err


def flags_of(verb):
    module = importlib.import_module(f"gcn_jax.cli.{module_of(verb)}")
    return module.FLAGS


def test_the_version_is_the_package_s(capsys):
    assert said_by(capsys, "--version") == f"gcn-jax {gcn_jax.__version__}\n"


def test_all_verbs_are_listed_with_what_they_do(capsys):
    listed = said_by(capsys, "--help")
    for verb in VERBS:
        (line,) = (line for line in listed.splitlines() if line.startswith(f"  gcn-jax {verb} "))
        assert len(line.split("  ")[-1]) > 20
        assert line.endswith((".", "?"))
    assert said_by(capsys, code=2) == listed


@pytest.mark.parametrize("group", ["data", "analysis"])
def test_a_group_lists_its_own_verbs(group, capsys):
    listed = said_by(capsys, group, "--help")
    names = re.findall(r"^  gcn-jax (.+?)  ", listed, re.MULTILINE)
    assert names == [verb for verb in VERBS if verb.startswith(f"{group} ")]
    assert said_by(capsys, group, code=2) == listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown verb 'trian' (did you mean train?); choose one of: train, evaluate,"),
        (["data", "shwo"], "unknown data verb 'shwo' (did you mean show?); choose one of: prepare"),
        (["analysis", "tables"], "unknown analysis verb 'tables' (did you mean table?)"),
    ],
)
def test_an_unknown_verb_is_answered_with_the_nearest_and_all(words, message, capsys):
    *listed, error = said_by(capsys, *words, code=2).splitlines()
    assert error.startswith(f"error: {message}")
    assert sum(line.startswith("  gcn-jax ") for line in listed) >= 3


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_all_flags_of_a_verb_and_only_those(verb, capsys):
    text = said_by(capsys, *verb.split(), "--help")
    assert text == said_by(capsys, *verb.split(), "-h")
    assert text.startswith(f"gcn-jax {verb}\n")
    about, flags = text.split("\nFlags:\n")
    assert re.search(rf"^    gcn-jax {verb}\b", about, re.MULTILINE), "an example"
    shown = re.findall(r"^  --(?:\[no\])?(\S+)  ", flags, re.MULTILINE)
    assert shown == [*flags_of(verb), "help"]
    assert max(map(len, text.splitlines())) <= 100


def test_help_shows_defaults_and_what_is_required(capsys):
    text = " ".join(said_by(capsys, "evaluate", "--help").split())
    assert "--ckpt Workdir of a training run. Required." in text
    assert "--batch_size Images a step. (default: 8)" in text
    assert "--[no]flip Average with the mirrored image. (default: false)" in text
    assert "that its neighbour covers too. (default: 0.3333)" in text
    assert "--json File to write the scores to. --report" in text


@pytest.mark.parametrize("verb", [verb for verb in VERBS if len([*flags_of(verb)]) > 1])
def test_a_typing_error_in_a_flag_is_answered_with_the_nearest(verb, capsys):
    name = max(flags_of(verb), key=len)
    err = said_by(capsys, *verb.split(), f"--{name[:-1]}x=1", code=2)
    assert err.startswith(f"error: unknown flag --{name[:-1]}x; did you mean --")
    assert f"--{name}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "--config is missing: The settings of the run."),
        (["evaluate"], "--ckpt is missing: Workdir of a training run."),
        (["evaluate", "--ckpt"], "Missing value for flag --ckpt"),
        (["evaluate", "--ckpt=a", "--nothing_like_it=1"], "unknown flag --nothing_like_it; --help"),
        (["evaluate", "--ckpt=a", "--batch_size=0"], "--batch_size=0: 0 is not a positive integer"),
        (["evaluate", "--ckpt=a", "--batch_size=x"], "--batch_size=x: give a whole number"),
        (["evaluate", "--ckpt=a", "--overlap=x"], "--overlap=x: give a number"),
        (["evaluate", "--ckpt=a", "--flip=x"], "--flip=x: give true or false"),
        (["evaluate", "runs/a"], "--ckpt is missing"),
        (["evaluate", "runs/a", "--ckpt=a"], "unexpected argument 'runs/a'"),
        (["evaluate", "--ckpt=a", "--config.seed=1"], "unknown flag --config.seed"),
        (["crf-search", "--ckpt=a", "--top=0"], "--top=0: 0 is not a positive integer"),
        (["compare", "a.json"], "this verb needs A.json B.json"),
        (["compare", "a.json", "b.json", "c.json"], "unexpected argument 'c.json'"),
        (["data", "prepare"], "prepare needs NAME..., of: ade20k, "),
        (["data", "validate"], "this verb needs one NAME, a folder of yours or one of: ade20k, "),
        (["data", "show"], "show needs either one NAME[:SPLIT] or --config=FILE"),
        (["data", "prepare", "shape"], "unknown data set 'shape' (did you mean shapes"),
        (["analysis", "table"], "table needs a number, one of 1, 2, 3, 4, 5, 7"),
        (["analysis", "complexity"], "--model is missing"),
        (["analysis", "pictures"], "pictures needs --ckpt=DIR,DIR,..."),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(words, message, capsys):
    err = said_by(capsys, *words, code=2)
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_hostile_name_commands_no_terminal(capsys):
    err = said_by(capsys, "evaluate", "--ckpt=a\x1b[31m\nb", code=2)
    assert err.startswith("error: a\\x1b[31m b is not the workdir of a training run")
    assert err.count("\n") == 1


IMPORTED = """
import sys
from gcn_jax.cli.main import main
for words in {verbs}:
    main([*words.split(), "--help"])
print(*({libraries} & sys.modules.keys()), "end", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("verbs", "libraries"),
    [
        (["train", "configs", "data prepare", "data validate", "data show"], {"jax", "grain"}),
        (["evaluate", "predict", "compare", "crf-search"], {"matplotlib", "gcn_jax.cli.train"}),
    ],
)
def test_help_does_not_wait_for_libraries_that_it_needs_not(verbs, libraries):
    script = IMPORTED.format(verbs=verbs, libraries=libraries)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == "end\n"
