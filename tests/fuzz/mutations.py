"""Mutations of files: of any bytes, of JSON by its grammar, of the words of a command line."""

import copy
import json
from random import Random
from typing import Any

#: Numbers of four bytes, in both orders, that lengths and offsets do not expect.
_EXTREMES = tuple(
    number.to_bytes(4, order)
    for number in (0, 1, 2**7, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
    for order in ("little", "big")
)


def _cut(content: bytearray, place: int, rng: Random) -> None:
    del content[place:]


def _insert(content: bytearray, place: int, rng: Random) -> None:
    content[place:place] = rng.randbytes(rng.randint(1, 8))


def _delete(content: bytearray, place: int, rng: Random) -> None:
    del content[place : place + rng.randint(1, 8)]


def _extreme(content: bytearray, place: int, rng: Random) -> None:
    content[place : place + 4] = rng.choice(_EXTREMES)


def _byte(content: bytearray, place: int, rng: Random) -> None:
    content[place] = rng.randrange(256)


def _bit(content: bytearray, place: int, rng: Random) -> None:
    content[place] ^= 1 << rng.randrange(8)


_BYTES = (_cut, _insert, _delete, _extreme, _byte, _bit)


def of_bytes(content: bytes, rng: Random) -> bytes:
    """Change one to three places of a file of any format."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if changed:
            rng.choice(_BYTES)(changed, rng.randrange(len(changed)), rng)
    return bytes(changed)


#: JSON values that stand where others are expected.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 256, 65_536, 10**7, 2**31, 2**63, 10**30, 10**400, 0.5,
    1e-9, -1e9, 1e308, float("nan"), float("inf"), "", "x", "0", "ä\0\n\ud800", "x" * 1000, [], {},
    [0], [[]], [1, 2, 3], {"x": 1},
)  # fmt: skip


def of_json(content: bytes, rng: Random) -> bytes:
    """Change one to three places in the tree of a JSON file, or of one line of several."""
    lines = content.splitlines() if b"\n{" in content else [content]
    place = rng.randrange(len(lines))
    tree = json.loads(lines[place])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _mutated(tree, rng)
    lines[place] = json.dumps(tree).encode()
    return b"\n".join(lines) + b"\n" * content.endswith(b"\n")


def _mutated(tree: Any, rng: Random) -> Any:
    """Return a JSON value with one change at a random place, the deeper the more likely."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.1:
        return _other(tree, rng)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = rng.choice(keys)
    if rng.random() < 0.7:
        tree[key] = _mutated(tree[key], rng)
        return tree
    change = rng.choice(("remove", "repeat", "swap", "replace"))
    if change == "remove":
        del tree[key]
    elif change == "repeat" and isinstance(tree, dict):
        tree[f"{key}{rng.choice(('2', ' ', 'x'))}"] = copy.deepcopy(tree[key])
    elif change == "repeat":
        tree[key:key] = [copy.deepcopy(tree[key]) for _ in range(rng.choice((1, 2, 300)))]
    elif change == "swap":
        other = rng.choice(keys)
        tree[key], tree[other] = tree[other], tree[key]
    else:
        tree[key] = copy.deepcopy(rng.choice(_VALUES))
    return tree


def _other(value: Any, rng: Random) -> Any:
    """Return another value: near a number, of another kind, or one level deeper."""
    kind = rng.randrange(4)
    if kind == 0 and isinstance(value, int | float) and abs(value) < 2**62:
        return rng.choice((-value, value + 1, value * 2, float(value), value / 3, str(value)))
    if kind == 0 and isinstance(value, str):
        return rng.choice((value.upper(), value + "x", value[:-1], [value], value * 2))
    if kind == 1:
        return rng.choice(([value], {"x": value}, [value, value], str(value)[:100]))
    return copy.deepcopy(rng.choice(_VALUES))


#: Values of flags and settings that somebody could type.
_WORDS = (
    "", "0", "1", "-1", "2", "0.5", "1e9", "1e-9", "1e400", "nan", "inf", "-inf", "9" * 30, "None",
    "True", "false", "x", "ä", "a b", ",", "1,", ",1", "1,2", "1,2,3", "1,x", "()", "(1,)",
    "(1, 2)", "(1, 'x')", "[1]", "{}", "{'a': 1}", "(", "'", '"', "\\", "=", "a=b", "--", "-", "%s",
    "{0}", "$HOME", "~", "/", ".", "..", "\udcff", "nowhere", "hf://", "hf://x", "shapes:x",
    "shapes", ":", "*", "[bold]", "x" * 5000, "(" * 300, "lambda: 0", "1e5", "0x10", "1_0", "٣",
)  # fmt: skip


def of_words(content: bytes, rng: Random) -> bytes:
    """Change one or two words of a command line, a JSON list of texts."""
    words = json.loads(content)
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(len(words))
        name, equals, value = words[place].partition("=")
        change = rng.randrange(10)
        if change < 6:
            words[place] = f"{name}={rng.choice(_WORDS)}" if equals else rng.choice(_WORDS)
        elif change == 6:
            words[place] = of_bytes(words[place].encode("utf-8", "surrogatepass"), rng).decode(
                "utf-8", "surrogateescape"
            )
        elif change == 7:
            changed = of_bytes(value.encode("utf-8", "ignore"), rng)  # a change may have come first
            words[place] = f"{name}={changed.decode('utf-8', 'ignore')}"
        elif change == 8:
            words.insert(place, words[rng.randrange(len(words))])
        else:
            words[place] = rng.choice((name, f"{name}.x={value}", f"{name[:-1]}={value}", "--"))
    # No process can be given the byte 0 in a word.
    return json.dumps([word.replace("\0", "") for word in words]).encode()
