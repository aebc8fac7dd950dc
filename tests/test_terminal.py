"""Names of the user's are printed as they are: no emoji, no markup, no commands."""

import pytest
from rich.table import Table

from gcn_jax import terminal
from tests.helpers.hostile import HOSTILE_NAMES


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_line_is_what_it_says(name, capsys):
    terminal.say(name)
    with terminal.ProgressBar("work") as bar:
        bar.say(name)
        bar.status(name, otherwise=name)
    out, err = capsys.readouterr()
    assert out == f"{terminal.printable(name)}\n" * 3
    assert "\x1b" not in out + err


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_cell_is_what_it_says(name, capsys):
    table = Table("class", "IoU")
    table.add_row(terminal.cell(name), "1")
    terminal.make_console(width=300).print(table)
    out = capsys.readouterr().out
    for line in terminal.printable(name).splitlines():
        assert line.rstrip() in out.replace("│", " ")
    assert "\x1b" not in out


def test_control_characters_are_shown():
    assert terminal.printable("a\x1b[31mb\tc\nd\x07ü模") == "a\\x1b[31mb\tc\nd\\x07ü模"


def test_a_bar_passes_every_item_on():
    bar = terminal.ProgressBar(stderr=True)
    assert [*bar.track(iter("abc"), 3, "folder:train:")] == ["a", "b", "c"]
    assert [*bar.track([1], 1, "[bold]x[/]")] == [1]
