"""The networks of the registry, small."""

from gcn_jax.models.registry import FILES


def stem(file):
    """Return the name of a network's file, for the names of tests."""
    return file.__name__.rpartition(".")[2]


def tiny(file, num_classes=3, **fields):
    """Build the network of a file with the fields of its `TINY`, and others."""
    return file.NETWORK(num_classes=num_classes, **{**file.TINY, **fields})


def learners():
    """Yield (file, fields) of every network that differs by more than its backbone."""
    for file in FILES:
        seen = []
        for name, fixed in file.VARIANTS.items():
            fields = {field: value for field, value in fixed.items() if field != "backbone"}
            if not name.startswith("_") and fields not in seen:
                seen.append(fields)
                yield file, fields
