"""The check of the built site finds what it is for; the site itself is built by `.ci/run`."""

from docs.check_site import problems


def test_dead_links_and_anchors_and_what_is_loaded_from_elsewhere_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        '<a href="more/b.html#here">1</a><a href="more/b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="https://example.org">4</a><a href="#top">5</a><h1 id="top"></h1>'
        '<script src="https://example.org/x.js"></script><img src="data:image/png;base64,AA">'
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.html").write_text('<p id="here"><img src="a.png"><a href="../index.html">')
    assert problems(tmp_path) == [
        "index.html: more/b.html#gone has no such anchor",
        "index.html: c.html is not there",
        "index.html loads https://example.org/x.js",
        "b.html: a.png is not there",
    ]


def test_a_folder_without_pages_is_no_site(tmp_path):
    assert problems(tmp_path) == [f"{tmp_path} has no page"]
