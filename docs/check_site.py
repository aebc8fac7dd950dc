"""A check of a built site: no dead link or anchor, and nothing that a page loads from elsewhere.

    python docs/check_site.py docs/_build/html

Links to other sites are not tried.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser fetches without being asked: tag -> attribute.
LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src"}


class Page(HTMLParser):
    """The anchors and links of a page.

    Attributes:
        anchors: Its ids and names.
        links: What it links to or loads, as written, each with whether it is loaded.
    """

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, bool]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Take down the ids and links of a tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        for name in {"href", LOADED.get(tag, "href")} & values.keys():
            self.links.append((values[name], LOADED.get(tag) == name))


def problems(site: Path) -> list[str]:
    """Return what is wrong with a site, a line for each page and link.

    Args:
        site: The folder with its `index.html`.
    """
    pages = {path.resolve(): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link, is_loaded in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if is_loaded and parts.scheme != "data":
                    found.append(f"{path.name} loads {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                found.append(f"{path.name}: {link} is not there")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{path.name}: {link} has no such anchor")
    if not pages:
        found.append(f"{site} has no page")
    return found


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]))
    print("\n".join(lines) or "no dead link, nothing loaded from elsewhere")
    sys.exit(bool(lines))
