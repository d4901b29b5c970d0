"""Downloads from a server on this machine, good and bad."""

import hashlib
import http.server
import os
import resource
import threading

import pytest
from rich.console import Console

from mmaml.classification.datasets.fetch import Archive, download
from mmaml.runs.errors import UserError


CONTENT = os.urandom(1_500_000)
HASH = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """`/whole` and `/ranges` serve the file, the latter from the middle, too; `/breaks` stops in its middle."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.path in ("/ranges", "/breaks") else 0
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/page":
            return self.answer(b"<!DOCTYPE html><p>Quota exceeded", "text/html; charset=utf-8")
        if self.path == "/hidden-page":
            return self.answer(b"\n<html><p>Quota exceeded", "application/octet-stream")
        if self.path == "/other":
            return self.answer(b"PK" + CONTENT[2:], "application/zip")
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:1_000_000] if self.path == "/breaks" else CONTENT[start:])

    def answer(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    def get(*paths):
        mirrors = tuple(path if path.startswith("http") else server.url + path for path in paths)
        with open(os.devnull, "w") as nowhere:
            return download(Archive("f.zip", HASH, 2, mirrors), tmp_path, Console(file=nowhere))

    return get


def test_a_download_is_kept_and_not_repeated(get, server, tmp_path):
    assert get("/whole").read_bytes() == CONTENT
    assert get("/whole") == tmp_path / "f.zip" and len(server.asked) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["f.zip"]


def test_a_file_with_another_hash_is_fetched_anew(get, tmp_path):
    (tmp_path / "f.zip").write_bytes(b"old")
    assert get("/whole").read_bytes() == CONTENT


def test_dead_mirrors_are_passed_over(get):
    paths = ("http://127.0.0.1:9/dead", "/missing", "/page", "/other", "/whole")
    assert get(*paths).read_bytes() == CONTENT


def test_every_failure_is_told(get, tmp_path):
    with pytest.raises(UserError) as caught:
        get("http://127.0.0.1:9/dead", "/missing", "/page", "/hidden-page", "/other")
    message = str(caught.value)
    assert "f.zip (2 MB) could not be downloaded" in message and f"put it into {tmp_path}" in message
    for said in ("/dead: no connection", "/missing: 404", "/page: a web page came", "/hidden-page: a web page came"):
        assert said in message
    assert "/other: the file that came is not the one we know" in message
    assert list(tmp_path.iterdir()) == []


def test_a_broken_download_goes_on_where_it_stopped(get, server, tmp_path):
    with pytest.raises(UserError, match=r"(?s)/breaks: no connection, or it broke.*same command goes on"):
        get("/breaks")
    assert [p.name for p in tmp_path.iterdir()] == ["f.zip.part"]
    part = (tmp_path / "f.zip.part").stat().st_size
    assert part > 500_000
    assert get("/ranges").read_bytes() == CONTENT
    assert server.asked[-1] == ("/ranges", f"bytes={part}-")


def test_a_server_that_cannot_go_on_starts_anew(get, tmp_path):
    (tmp_path / "f.zip.part").write_bytes(b"x" * 1000)
    assert get("/whole").read_bytes() == CONTENT


def test_a_part_of_something_else_is_given_up(get, tmp_path):
    (tmp_path / "f.zip.part").write_bytes(b"x" * 1000)
    assert get("/ranges", "/ranges").read_bytes() == CONTENT
    (tmp_path / "f.zip").unlink()
    (tmp_path / "f.zip.part").write_bytes(b"x" * len(CONTENT))
    assert get("/ranges", "/ranges").read_bytes() == CONTENT


def test_a_page_does_not_cost_what_was_there(get, tmp_path):
    (tmp_path / "f.zip.part").write_bytes(CONTENT[:1000])
    with pytest.raises(UserError, match="a web page came"):
        get("/hidden-page")
    assert (tmp_path / "f.zip.part").read_bytes() == CONTENT[:1000]


def test_a_full_disk_is_told(get, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write to .*f.zip has 2 MB.*MMAML_DATA"):
            get("/whole")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "f.zip").exists()
    assert get("/ranges").read_bytes() == CONTENT
