"""The demo's server, of Python's standard library.

It serves one person on one machine: a page, and three questions that are asked by POST, whose body
is the file itself. There are no forms, sessions or paths of files to get wrong, so that a framework
(Starlette and uvicorn are eight packages) would spare little. What is looked at here: the size of a
body before it is read, its time, and that the page itself asks, not another site's page in the same
browser (`Host` and `Origin`). It is no server for the public.
"""

import ipaddress
import json
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.analysis.receptive_field.units import Unit
from gcn_jax.demo.segmenter import Segmenter
from gcn_jax.errors import UserError
from gcn_jax.export.web import render
from gcn_jax.terminal import printable

#: A file may have so many bytes, and take so many seconds to come.
MOST_BYTES = 2**25
TIMEOUT = 60


def make_server(segmenter: Segmenter, title: str, host: str, port: int) -> ThreadingHTTPServer:
    """Open the port; `serve_forever()` of what is returned answers.

    Args:
        segmenter: The model.
        title: What the page is called.
        host: The address to listen at, such as "127.0.0.1".
        port: The port; 0 for any that is free.

    Raises:
        UserError: The address cannot be had.
    """
    page = render(
        "demo.html.jinja",
        folder=Path(__file__).parent / "templates",
        title=title,
        class_names=segmenter.info.class_names,
        palette=segmenter.info.palette,
        void=IGNORE_LABEL,
        most_mib=MOST_BYTES // 2**20,
    ).encode()
    handler = type("Handler", (_Handler,), {"page": page, "answers": _answers(segmenter)})
    try:
        return _Server((host, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host}:{port} cannot be listened at: {reason}; --port=0 takes any"
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a fault of ours; that a browser went away is none."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


#: A question -> (its parameters, the body) -> the fields of the answer, and an array.
_Answer = Callable[[dict[str, str], bytes], tuple[dict[str, Any], np.ndarray]]


def _answers(segmenter: Segmenter) -> dict[str, _Answer]:
    alone = threading.Lock()  # one picture at a time has the device's memory

    def labels(_parameters: dict[str, str], body: bytes) -> tuple[dict[str, Any], np.ndarray]:
        with alone:
            return {}, segmenter.labels(body)

    def truth(_parameters: dict[str, str], body: bytes) -> tuple[dict[str, Any], np.ndarray]:
        return {}, segmenter.truth(body)

    def field(parameters: dict[str, str], body: bytes) -> tuple[dict[str, Any], np.ndarray]:
        try:
            unit = Unit(*(int(parameters[name]) for name in ("row", "column", "class")))
        except (KeyError, ValueError):
            raise UserError("a field needs row, column and class, whole numbers") from None
        with alone:
            found = segmenter.field(body, unit)
        largest = float(found.discrepancy.max())
        share = np.rint(found.discrepancy * (255 / max(largest, 1e-12))).astype(np.uint8)
        return {"score": found.score, "largest": largest}, share

    return {"/labels": labels, "/truth": truth, "/field": field}


class _Handler(BaseHTTPRequestHandler):
    """The page at `/`; answers as a line of JSON with height and width, then uint8 `[H, W]`."""

    page: bytes
    answers: dict[str, _Answer]
    timeout = TIMEOUT
    server_version, sys_version = "gcn-jax", ""

    def do_GET(self) -> None:
        if not self._is_from_here():
            self._refuse(HTTPStatus.FORBIDDEN, "another site asks")
        elif urlsplit(self.path).path == "/":
            self._send(HTTPStatus.OK, self.page, "text/html; charset=utf-8")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the size of the file is not said")
        elif len(length) > 18 or int(length) > MOST_BYTES:
            most = f"the file has more than {MOST_BYTES // 2**20} MiB"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most)
        else:
            body = self.rfile.read(int(length))  # in any case: else a refusal may not arrive
            if self._is_from_here():
                self._answer(body)
            else:
                self._refuse(HTTPStatus.FORBIDDEN, "another site asks")

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        if address.path not in self.answers:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such question")
            return
        try:
            fields, array = self.answers[address.path](dict(parse_qsl(address.query)), body)
        except UserError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
            return
        except Exception:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of gcn_jax: see its terminal")
            raise
        height, width = array.shape
        head = json.dumps({"height": height, "width": width, **fields}).encode()
        self._send(HTTPStatus.OK, head + b"\n" + array.tobytes(), "application/octet-stream")

    def _is_from_here(self) -> bool:
        """Return whether our page asks: another has its own origin, or a name of its own for us."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin", f"http://{host}")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return origin == f"http://{host}" and (name == "localhost" or _is_address(name))

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(status, printable(message).encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing of each request."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
