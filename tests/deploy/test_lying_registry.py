"""fetch-bundle, against a registry that answers nonsense."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlparse

import pytest

from iris_nb.bundle import champion
from tests.deploy.test_fetch_bundle import PROGRAM

Fetch = Callable[[str], tuple[int, list[str], list[str]]]
Answers = Callable[[str, str], bytes]  # route and path asked for: what to say


@contextmanager
def registry(answers: Answers) -> Iterator[str]:
    "A registry that says what `answers` gives; its address."

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlparse(self.path)
            content = answers(asked.path.rsplit("/", 1)[1], parse_qs(asked.query).get("path", [""])[0])
            self.send_response(200)
            self.end_headers()
            try:
                self.wfile.write(content)
            except ConnectionError:
                self.close_connection = True  # the caller had enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def honest(bundle: Path, listed: object = None, **instead: bytes) -> Answers:
    "What a registry says that has one bundle; `instead` of the answer to a route, or with another listing."
    files = {"files": [{"path": f"bundle/{bundle.name}", "is_dir": True}]} if listed is None else listed
    said = {
        "alias": json.dumps({"model_version": {"version": "1", "run_id": "r"}}).encode(),
        "list": json.dumps(files).encode(),
        **instead,
    }

    def answers(route: str, path: str) -> bytes:
        return said[route] if route in said else (bundle / Path(path).name).read_bytes()

    return answers


@pytest.fixture
def bundle(bundles: Path, tmp_path: Path) -> Path:
    folder = next(path for path in sorted(bundles.iterdir()) if path.is_dir())
    return Path(shutil.copytree(folder, tmp_path / "registry" / folder.name))


def rewrite(bundle: Path, file: str, content: bytes) -> None:
    "Give a file of a bundle another content, and the right checksum."
    old = hashlib.sha256((bundle / file).read_bytes()).hexdigest()
    (bundle / file).write_bytes(content)
    sums = bundle / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(content).hexdigest()))


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fetch:
    "Run fetch-bundle here, into tmp_path/inner/home: exit code, lines of stdout, lines of stderr."
    loader = SourceFileLoader("fetch_bundle", str(PROGRAM))
    spec = spec_from_loader("fetch_bundle", loader)
    assert spec is not None
    program = module_from_spec(spec)
    loader.exec_module(program)

    def fetch(url: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setenv("IRIS_HOME", str(tmp_path / "inner" / "home"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        monkeypatch.setattr(sys, "argv", [str(PROGRAM)])
        code = program.main()
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return fetch


def assert_refused(done: tuple[int, list[str], list[str]], outside: Path) -> None:
    "One line of at most so many letters, nothing in the home, nothing beside it."
    code, out, err = done
    assert (code, out) == (1, [])
    [line] = err
    assert line.startswith("The champion was not fetched: ")
    assert len(line) < 450
    assert [path.name for path in (outside / "inner").rglob("*")] == ["home", "bundles"]
    assert sorted(path.name for path in outside.iterdir()) == ["inner", "registry"]


def test_an_honest_one_is_believed(fetch, bundle, tmp_path):
    with registry(honest(bundle)) as url:
        done = fetch(url)
    assert done == (0, [f"{bundle.name} is the champion now"], [])
    assert champion(tmp_path / "inner" / "home" / "bundles").name == bundle.name


@pytest.mark.parametrize(
    "path",
    [
        "bundle/../../../evil",
        "bundle/..",
        "/etc",
        "bundle/a/b",
        "bundle/",
        "",
        "bundle/.hidden",
        "bundle/a\\b",
        "x" * 9000,
    ],
)
def test_a_folder_that_leads_elsewhere_is_refused(fetch, bundle, tmp_path, path):
    "Beside a good one, and alone."
    good, evil = ({"path": name, "is_dir": True} for name in (f"bundle/{bundle.name}", path))
    for files in ([evil], [good, evil]):
        with registry(honest(bundle, {"files": files})) as url:
            assert_refused(fetch(url), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"{}",
        b"[]",
        b"3",
        b'{"files": 3}',
        b'{"files": [{"path": 3}]}',
        b"[" * 100_000,
        b'{"files":[' * 100_000,
    ],
    ids=lambda content: content[:24].decode(),
)
@pytest.mark.parametrize("route", ["alias", "list"])
def test_an_answer_of_another_shape_is_one_line(fetch, bundle, tmp_path, route, content):
    with registry(honest(bundle, **{route: content})) as url:
        assert_refused(fetch(url), tmp_path)


@pytest.mark.parametrize("route", ["alias", "list", "get-artifact"])
def test_an_answer_without_end_is_cut_off(fetch, bundle, tmp_path, route):
    with registry(honest(bundle, **{route: b" " * (65 << 20)})) as url:
        done = fetch(url)
    assert_refused(done, tmp_path)
    assert "more than 64 megabytes" in done[2][0]


@pytest.mark.parametrize("file", ["golden.json", "conformal.json", "card.json"])
@pytest.mark.parametrize("content", [b"{}", b'{"a":1}', b"[" * 100_000, b"\xff"], ids=lambda c: repr(c[:8]))
def test_right_checksums_do_not_make_wrong_contents_right(fetch, bundle, tmp_path, file, content):
    rewrite(bundle, file, content)
    with registry(honest(bundle)) as url:
        done = fetch(url)
    assert_refused(done, tmp_path)


def test_with_every_it_goes_on_until_the_registry_is_sound(bundle, tmp_path):
    nonsense = iter([b"[" * 100_000, b"<html>", b'{"model_version": null}'])
    sound = honest(bundle)

    def answers(route: str, path: str) -> bytes:
        return next(nonsense, sound(route, path)) if route == "alias" else sound(route, path)

    with registry(answers) as url:
        environ = {**os.environ, "IRIS_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": url}
        command = [sys.executable, str(PROGRAM), "--every", "0.05"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as loop:
            try:
                assert loop.stdout is not None
                assert loop.stdout.readline() == f"{bundle.name} is the champion now\n"
            finally:
                loop.terminate()
                said = loop.communicate()[1].splitlines()
    assert len(said) == 3
    assert all(line.startswith("The champion was not fetched: ") for line in said)
