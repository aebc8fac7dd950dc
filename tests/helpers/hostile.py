"""Names as a user may have them, which a terminal or a page could take for commands."""

HOSTILE_NAMES = (
    "folder:train:",
    ":smile: :train:",
    "[bold red]x[/bold red]",
    "[/]",
    "[link=http://x]y[/link]",
    "a\x1b[31mb\x07",
    "mein Läuf 模型 #1 %20 [x]",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "100 % of 3.5e-4 at 2026-11-26",
    "x" * 150,
)
