"""Docstrings keep to one dialect, as far as a test can tell: see CONTRIBUTING.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gcn_jax"
FILES = sorted(PACKAGE.rglob("*.py"))
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
#: First words of a sentence without a subject: "What a page shows", "Of the draws".
WITHOUT_SUBJECT = re.compile(r"(What|Where|How|That|Of|Which|Whether|By)\b")
#: A shape outside backticks, such as [N, H, W, 3] or [H, W].
SHAPE = re.compile(r"\[(?:[A-Z0-9][A-Za-z0-9']*, )+[A-Z0-9][A-Za-z0-9']*\]")
#: An entry of a section: `name: text`, or `UserError: text`.
ENTRY = re.compile(r"(?P<name>\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): (?P<text>.*)")

Definition = ast.FunctionDef | ast.ClassDef


def public(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Yield the public classes, functions and methods of a module with their names."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def sections(docstring: str) -> dict[str, list[str]]:
    """Return the entries of each section: lines one indentation below its title."""
    found: dict[str, list[str]] = {}
    section = None
    for line in docstring.splitlines():
        if title := re.fullmatch(r"(\w+):", line):
            section = title[1]
            found[section] = []
        elif section and re.match(r" {4}\S", line):
            found[section].append(line.strip())
    return {name: found[name] for name in SECTIONS if name in found}


def parameters(function: ast.FunctionDef) -> list[str]:
    """Return the names of a function's parameters, without self and cls."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def problems_of(name: str, node: ast.Module | Definition) -> Iterator[str]:
    """Yield what is wrong with the docstring of a definition."""
    docstring = ast.get_docstring(node) or ""
    if not docstring:
        yield f"{name}: no docstring"
        return
    if not isinstance(node, ast.FunctionDef) and WITHOUT_SUBJECT.match(docstring):
        yield f"{name}: the first sentence has no subject: {docstring.splitlines()[0]!r}"
    if isinstance(node, ast.FunctionDef) and docstring.startswith("Of "):
        yield f"{name}: begins with Of"
    bare = re.sub(r"`[^`]*`|\"[^\"]*\"|>>>.*", "", docstring)
    for shape in SHAPE.findall(bare):
        yield f"{name}: {shape} stands outside backticks"
    found = sections(docstring)
    for section, lines in found.items():
        # What is returned is one text of one or more lines.
        for line in lines[:1] if section in ("Returns", "Yields") else lines:
            entry = ENTRY.fullmatch(line)
            text = entry["text"] if entry else line
            if text[:1].islower() and not re.match(r"(u?int|float|bool)\d*\b|jax\.|str\b", text):
                yield f"{name}, {section}: begins in lower case: {line!r}"
            if text.startswith("Of "):
                yield f"{name}, {section}: begins with Of: {line!r}"
    if isinstance(node, ast.FunctionDef) and len(parameters(node)) >= 2:
        text = "\n".join(found.get("Args", []))
        missing = [p for p in parameters(node) if not re.search(rf"\b{p}\b[^:]*:", text)]
        if missing:
            yield f"{name}: Args lacks {', '.join(missing)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_keep_to_the_dialect(path):
    tree = ast.parse(path.read_text())
    found = [*problems_of("module", tree)]
    for name, node in public(tree):
        found += problems_of(name, node)
    assert not found, "\n".join(found)


def test_a_docstring_that_breaks_every_rule_is_noticed():
    tree = ast.parse(
        'def f(x, y):\n    """Of it.\n\n    Args:\n        x: of [N, H].\n    """\n', "example"
    )
    (function,) = tree.body
    assert [*problems_of("f", function)] == [
        "f: begins with Of",
        "f: [N, H] stands outside backticks",
        "f, Args: begins in lower case: 'x: of [N, H].'",
        "f: Args lacks y",
    ]
