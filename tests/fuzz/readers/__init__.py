"""Every reader of a user's bytes, by its name."""

from tests.fuzz.cases import Reader
from tests.fuzz.readers import command_lines, conversions, data_sets, hub, images, runs, weights

READERS: dict[str, Reader] = {
    reader.name: reader
    for file in (images, data_sets, conversions, weights, hub, runs, command_lines)
    for reader in file.READERS
}
