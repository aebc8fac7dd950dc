"""The tables of the paper: which networks they compare, and what the paper found.

A `Study` is one table, a `Cell` one network in it. The paper's scores are of PASCAL VOC 2012 val,
of ResNet-152 and 512 x 512 pixels; ours, of whatever data, stand beside them and are not the same
measurement.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from gcn_jax.errors import UserError

#: Channels of res-5 in the paper's network, and its classes: what its counts of parameters are of.
PAPER_CHANNELS, PAPER_CLASSES = 2048, 21


@dataclasses.dataclass(frozen=True)
class Cell:
    """One network of a table.

    Attributes:
        row: Its name there, such as "GCN".
        column: Its place along the table's axis, such as "7" (k); empty where there is no axis.
        head: The head of res-5, a name in `models.gcn_heads.HEADS`; the finer levels have the
            1 x 1 baseline.
        kernel_size: K.
        channel_share: The m of a stack as a share of the channels of res-5.
        boundary_refinement: Whether BR is there.
        stage: 1, 2 or 3 of the recipe, each from the one before; None for a run of its own.
        inference: "single", "ms" (several scales) or "ms_crf"; the last two train nothing.
        published: The paper's figures in percent by metric, and "parameters" as it prints them.
    """

    row: str
    column: str = ""
    head: str = "gcn"
    kernel_size: int = 15
    channel_share: float = 1.0
    boundary_refinement: bool = False
    stage: int | None = None
    inference: str = "single"
    published: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def run_name(self) -> str:
        """The name of its training run; cells of several tables may share one."""
        parts = ["baseline" if self.head == "baseline" else f"{self.head}_k{self.kernel_size}"]
        if self.head == "stack" and self.channel_share != 1:
            parts.append(f"m{round(PAPER_CHANNELS * self.channel_share)}of{PAPER_CHANNELS}")
        if self.boundary_refinement:
            parts.append("br")
        if self.stage is not None:
            parts.append(f"stage{self.stage}")
        return "_".join(parts)

    @property
    def name(self) -> str:
        """The name of its scores."""
        return self.run_name if self.inference == "single" else f"{self.run_name}_{self.inference}"

    @property
    def label(self) -> str:
        """What it is called where its table is spoken of, such as "GCN 15"."""
        return f"{self.row} {self.column}".strip()

    @property
    def model_fields(self) -> dict[str, Any]:
        """The fields of `models.GCN`, but for the channels of a stack."""
        return {
            "head": self.head,
            "finer_head": "baseline",
            "kernel_size": self.kernel_size,
            "boundary_refinement": self.boundary_refinement,
        }

    def stack_channels(self, top_channels: int) -> int:
        """Return m of a stack behind a backbone whose res-5 has so many channels."""
        return round(self.channel_share * top_channels)


@dataclasses.dataclass(frozen=True)
class Study:
    """One table.

    Attributes:
        number: That of the paper.
        caption: The title, which says what is compared.
        axis: The title of the columns; empty where every row is one network.
        metrics: The scores, names in `runner.METRICS`.
        cells: In the order of the table.
    """

    number: int
    caption: str
    axis: str
    metrics: tuple[str, ...]
    cells: tuple[Cell, ...]


def study(number: int) -> Study:
    """Return one of the paper's tables 1 to 5 and 7.

    Raises:
        UserError: There is no such table here.
    """
    if number not in STUDIES:
        raise UserError(f"there is no table {number}; choose one of {', '.join(map(str, STUDIES))}")
    return STUDIES[number]


def _cell(row: str, column: str, miou: float, **fields: Any) -> Cell:
    parameters = fields.pop("parameters", None)
    published = {"miou": miou} | ({"parameters": parameters} if parameters else {})
    return Cell(row, column, published=published, **fields)


_BASELINE = _cell("baseline", "1", 69.0, head="baseline", kernel_size=1)
_GCN_SCORES = {3: 70.1, 5: 71.1, 7: 72.8, 9: 73.4, 11: 73.7, 13: 74.0, 15: 74.5}


def _gcn(k: int, parameters: str | None = None) -> Cell:
    return _cell("GCN", str(k), _GCN_SCORES[k], kernel_size=k, parameters=parameters)


def _conv(k: int, miou: float, parameters: str) -> Cell:
    return _cell("Conv", str(k), miou, head="conv", kernel_size=k, parameters=parameters)


def _stack(k: int, miou: float) -> Cell:
    return _cell("Stack", str(k), miou, head="stack", kernel_size=k)


def _stack_of(m: int, miou: float, parameters: str) -> Cell:
    share = m / PAPER_CHANNELS
    fields = {"head": "stack", "kernel_size": 7, "channel_share": share, "parameters": parameters}
    return _cell("Stack", str(m), miou, **fields)


def _table_5(row: str, boundary: float, internal: float, miou: float, **fields: Any) -> Cell:
    scores = {"boundary_accuracy": boundary, "internal_accuracy": internal, "miou": miou}
    return Cell(row, published=scores, **fields)


#: Row -> fields of its cells, and the scores of the three stages.
_TABLE_7: Mapping[str, tuple[Mapping[str, Any], tuple[float, float, float]]] = {
    "Baseline": ({"head": "baseline", "kernel_size": 1}, (69.6, 72.4, 74.0)),
    "GCN": ({}, (74.1, 77.6, 78.7)),
    "GCN + BR": ({"boundary_refinement": True}, (75.0, 78.6, 80.3)),
}
_LAST: Mapping[str, Any] = {"boundary_refinement": True, "stage": 3}

STUDIES: Mapping[int, Study] = {
    1: Study(
        1,
        "kernel size k of the global convolution",
        "k",
        ("miou",),
        (_BASELINE, *map(_gcn, _GCN_SCORES)),
    ),
    2: Study(
        2,
        "global convolution and trivial k x k convolution",
        "k",
        ("miou",),
        (
            *map(_gcn, (3, 5, 7, 9), ("260K", "434K", "608K", "782K")),
            _conv(3, 69.8, "387K"),
            _conv(5, 70.4, "1075K"),
            _conv(7, 69.6, "2107K"),
            _conv(9, 68.8, "3484K"),
        ),
    ),
    3: Study(
        3,
        "global convolution and a stack of 3 x 3 convolutions that sees as much",
        "k",
        ("miou",),
        (
            *map(_gcn, (3, 5, 7, 9, 11)),
            *map(_stack, (3, 5, 7, 9, 11), (69.8, 71.8, 71.3, 69.5, 67.5)),
        ),
    ),
    4: Study(
        4,
        "channels m between the convolutions of the stack, k = 7 (as shares of res-5's channels)",
        "m of 2048",
        ("miou",),
        (
            _stack_of(2048, 71.3, "75885K"),
            _stack_of(1024, 70.4, "28505K"),
            _stack_of(210, 68.8, "4307K"),
            dataclasses.replace(_gcn(7, "608K"), column="2048"),
        ),
    ),
    5: Study(
        5,
        "boundary refinement: pixel accuracy within 7 px of a border, elsewhere, and mIoU",
        "",
        ("boundary_accuracy", "internal_accuracy", "miou"),
        (
            _table_5("Baseline", 71.3, 93.9, 69.0, head="baseline", kernel_size=1),
            _table_5("GCN", 71.5, 95.0, 74.5),
            _table_5("GCN + BR", 73.4, 95.1, 74.7, boundary_refinement=True),
        ),
    ),
    7: Study(
        7,
        "the three stages of training, several scales and a dense CRF",
        "stage",
        ("miou",),
        (
            *(
                _cell(row, str(stage), miou, stage=stage, **fields)
                for row, (fields, scores) in _TABLE_7.items()
                for stage, miou in enumerate(scores, start=1)
            ),
            _cell("GCN + BR", "3-MS", 80.4, inference="ms", **_LAST),
            _cell("GCN + BR", "3-MS-CRF", 81.0, inference="ms_crf", **_LAST),
        ),
    ),
}
