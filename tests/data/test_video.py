"""Videos, read frame by frame; and what is said about damage."""

import http.server
import io
import struct
import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import video
from gcn_jax.data.problems import Problem
from gcn_jax.report.video import labels_to, pictures_to

av = pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")

RATE, TIME_BASE = Fraction(30000, 1001), Fraction(1001, 30000)


def picture(number, size=(48, 64)):
    """A smooth picture, the next one a little brighter: what a codec keeps."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([4 * y, 3 * x, np.full_like(y, 3 * number % 250)], -1).astype(np.uint8)


def write(path, count=40, size=(48, 64)):
    with pictures_to(path, size, RATE, TIME_BASE) as add:
        for number in range(count):
            add(picture(number, size), number)
    return path


def count_frames(path):
    """Return how many frames can be read, and what is said then."""
    count = 0
    with video.open_video(path) as opened:
        try:
            for _ in opened.frames():
                count += 1
        except Problem as problem:
            return count, str(problem)
    return count, ""


def read(path):
    with video.open_video(path) as opened:
        return opened.rate, [*opened.frames()]


@pytest.mark.parametrize("size", [(48, 64), (47, 63)], ids=["even", "odd"])
def test_pictures_keep_size_rate_times_and_colours(tmp_path, size):
    rate, frames = read(write(tmp_path / "a.mp4", size=size))
    assert rate == RATE
    assert [frame.time for frame in frames] == [1001 * number for number in range(40)]
    for number, frame in enumerate(frames):
        assert frame.image.shape == (*size, 3)
        assert np.abs(frame.image.astype(int) - picture(number, size)).mean() < 4


def test_labels_come_back_as_they_were(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (12, 31, 45)).astype(np.uint8)
    with labels_to(tmp_path / "a.mkv", (31, 45), RATE, TIME_BASE) as add:
        for number, label in enumerate(labels):
            add(label, number)
    with av.open(str(tmp_path / "a.mkv")) as container:
        found = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_frames_are_turned_upright(tmp_path, quarters):
    """The matrix of the track's header, as a telephone writes it, turns clockwise."""
    path = write(tmp_path / "a.mp4", 3)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # version 0
    turns = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}
    a, b, c, d = (value << 16 for value in turns[quarters])
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    image = read(path)[1][0].image
    difference = image.astype(int) - np.rot90(picture(0), -quarters)
    assert np.abs(difference).mean() < 4


def test_damage_is_named_with_its_frame(tmp_path):
    path = write(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 30] = bytes(byte ^ 0x5A for byte in content[middle : middle + 30])
    path.write_bytes(content)
    count, said = count_frames(path)
    assert 0 < count < 40
    assert said.startswith(f"{path}: damaged at frame {count + 1}")


def test_a_video_without_its_end_says_where_it_ends(tmp_path):
    path = tmp_path / "a.mkv"
    with labels_to(path, (48, 64), RATE, TIME_BASE) as add:
        for number in range(40):
            add(picture(number)[..., 0], number)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    count, said = count_frames(path)
    assert 0 < count < 40
    assert said == f"{path}: it ends after frame {count}, not after 1.3 s"


def test_what_is_no_video_is_said_to_be_none(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    whole = write(tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[:-300])  # its index is at the end
    for name in ("a.mp4", "b.mp4", "missing.mp4"):
        with (
            pytest.raises(Problem, match=rf"{name}: not a readable video, or one that is cut off"),
            video.open_video(tmp_path / name),
        ):
            pass
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with (
        pytest.raises(Problem, match="it holds no pictures"),
        video.open_video(tmp_path / "sound.mkv"),
    ):
        pass


def test_streams_are_called_without_their_password(tmp_path):
    assert video.is_stream("rtsp://me:secret@10.0.0.7:554/yard/1")
    assert video.stream_name("rtsp://me:secret@10.0.0.7:554/yard/1?token=x") == "10.0.0.7_yard_1"
    assert video.is_stream("/dev/null")
    assert video.stream_name("/dev/null") == "null"
    assert not video.is_stream(str(tmp_path / "a.mp4"))
    with pytest.raises(Problem) as problem, video.open_video("rtsp://me:secret@127.0.0.1:9/yard"):
        pass
    assert "secret" not in str(problem.value)


@pytest.fixture
def camera():
    """The address of a camera of the network, which sends five JPEGs and then nothing."""
    over = threading.Event()

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
            self.end_headers()
            for number in range(5):
                data = io.BytesIO()
                Image.fromarray(np.full((48, 64, 3), 40 * number, np.uint8)).save(data, "JPEG")
                length = len(data.getvalue())
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
                self.wfile.write(head.encode() + data.getvalue() + b"\r\n")
            over.wait(60)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/yard"
        over.set()
        server.shutdown()


def test_a_camera_that_falls_silent_is_read_until_then(camera, monkeypatch):
    monkeypatch.setattr(video, "_PATIENCE", 2)
    seen = []
    with video.open_video(camera) as opened:
        assert (opened.is_endless, opened.num_frames) == (True, None)
        with pytest.raises(Problem, match=r"127\.0\.0\.1_yard: nothing came for 2 s after frame"):
            seen.extend(frame.image[0, 0, 0] for frame in opened.frames())
    assert len(seen) >= 3  # a decoder keeps some back
    np.testing.assert_allclose(seen, 40 * np.arange(len(seen)), atol=2)
