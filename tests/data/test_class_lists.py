"""Lists of classes as tools write them."""

import pytest

from gcn_jax.data.class_lists import read_class_list
from gcn_jax.data.convert.names import read_colors
from gcn_jax.data.problems import Problem

NAMES = ("background", "box", "disc")
COLORS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))


@pytest.mark.parametrize(
    ("file", "content", "colors"),
    [
        ("classes.txt", "background\nbox\ndisc\n", None),
        ("class_names.txt", "\ufeffbackground \r\n\r\nbox\r\ndisc", None),
        ("labels.txt", "__ignore__\nbackground\nbox\ndisc", None),
        ("classes.csv", "class,r,g,b\nbackground,0,0,0\nbox,128,0,0\ndisc,0,128,0", COLORS),
        ("class_dict.csv", "name, r, g, b\nbackground, 0, 0, 0\nbox,128,0,0\ndisc,0,128,0", COLORS),
        ("_classes.csv", "Pixel Value, Class\n0, background\n2, disc\n1, box", None),
        ("train/_classes.csv", "Pixel Value, Class\n0, background\n1, box\n2, disc", None),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbox:128,0,0::\ndisc:0,128,0::",
            COLORS,
        ),
    ],
)
def test_what_tools_write(tmp_path, file, content, colors):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(content, encoding="utf-8")
    found = read_class_list(tmp_path)
    assert found.table.names == NAMES
    assert found.table.colors == colors
    assert len(found.remarks) == ("__ignore__" in content)


def test_labelmes_first_line_is_left_out_wherever_it_stands_and_said(tmp_path):
    (tmp_path / "classes.txt").write_text("__ignore__\n_background_\nbox")
    found = read_class_list(tmp_path)
    assert found.table.names == ("_background_", "box")
    assert (
        "__ignore__ is left out, as labelme means it, so that label 0 is '_background_'"
        in (found.remarks[0])
    )
    (tmp_path / "classes.txt").write_text("box\n__ignore__\ndisc")
    with pytest.raises(Problem, match="line 2 is __ignore__, which is labelme's name of void"):
        read_class_list(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("_classes.csv", f"0, a\n{'9' * 5000}, b\n", "not `class,r,g,b`"),
        ("labelmap.txt", f"a:{'9' * 5000},0,0\nb:1,1,1\n", "no colour r,g,b"),
        ("labelmap.txt", "a:0,0,0\nb:12\x1f1,0,0\n", "no colour r,g,b"),
        ("classes.csv", f'"{"a" * 200_000}",0,0,0\nb,1,1,1\n', "field larger than"),
    ],
)
def test_numbers_and_cells_of_absurd_length_are_refused(tmp_path, file, content, message):
    (tmp_path / file).write_text(content)
    with pytest.raises(Problem, match=message):
        read_class_list(tmp_path)
    if file == "classes.csv":
        with pytest.raises(Problem, match=message):
            read_colors(tmp_path / file)


def test_two_lists_must_agree(tmp_path):
    (tmp_path / "classes.txt").write_text("_background_\nbox")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nbox")
    assert read_class_list(tmp_path).table.names == ("_background_", "box")
    (tmp_path / "labels.txt").write_text("box\n_background_")
    with pytest.raises(Problem, match="label 0 is '_background_' here, 'box' there"):
        read_class_list(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("classes.txt", "box", "has only 'box': add a first line `background`, which is label 0"),
        ("classes.txt", "a\nb\na", "has 'a' more than once"),
        ("classes.txt", "", "it has 0"),
        ("names.txt", "a\nb", r"classes.txt is missing; .* \(it has names.txt\)"),
        (
            "_classes.csv",
            "Pixel Value, Class\n0, a\n2, b",
            "must be 0..1, each once; they are 0, 2",
        ),
        ("classes.csv", "class,r,g,b\na,0,0,0\nb,0,300,0", "no colour r,g,b of three numbers"),
        ("classes.csv", "a,0,0\nb,0,0", "'a,0,0' is not `class,r,g,b`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, file, content, message):
    (tmp_path / file).write_text(content)
    with pytest.raises(Problem, match=message):
        read_class_list(tmp_path)
