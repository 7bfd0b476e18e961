"""The dashboard's server: how many visitors, under which name, and without a browser."""

import asyncio
import http.client
import json
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from iris_nb.config import ConfigError
from iris_nb.run.page_server import BoundedKernelManager, _host_settings, _kernel_limit
from iris_nb.run.servers import _exposure, _voila_command, _voila_environment
from iris_nb.run.servers import dashboard as command

pytestmark = pytest.mark.slow
SETTINGS = json.loads((Path(__file__).parents[2] / "nbs/dashboard/voila.json").read_text())
TOKEN = "let-me-in"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, dashboard):
    "A dashboard with room for two visitors."
    with dashboard(tmp_path_factory.mktemp("narrow"), IRIS_DASHBOARD_KERNELS="2") as url:
        yield url


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, dashboard):
    "A dashboard that asks for a token, and may be called by another name."
    settings = {"IRIS_DASHBOARD_TOKEN": TOKEN, "IRIS_DASHBOARD_NAMES": "iris.example"}
    with dashboard(tmp_path_factory.mktemp("guarded"), **settings) as url:
        yield url


def status(url, host, path="/", **headers):
    "The status of an answer to a request that names another host."
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=60)) as connection:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in {"Host": host, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as answer:
            return answer.status


def test_a_page_is_given_to_as_many_visitors_as_there_may_be_kernels(narrow):
    answers = [httpx.get(narrow, timeout=60) for _ in range(4)]
    assert [answer.status_code for answer in answers[2:]] == [503, 503]
    assert 200 in {answer.status_code for answer in answers[:2]}
    late = answers[-1]
    assert "Come back in a minute" in late.text
    assert late.headers["retry-after"] == "60"
    assert "Traceback" not in late.text


def test_a_page_that_is_asked_for_as_a_picture_starts_nothing(guarded):
    cookie = {"Authorization": f"token {TOKEN}"}
    assert status(guarded, "localhost", **cookie, **{"Sec-Fetch-Dest": "image"}) == 403


def test_a_page_without_a_connection_keeps_its_kernel_for_a_minute():
    assert SETTINGS["MappingKernelManager"] == {"cull_idle_timeout": 60, "cull_interval": 15, "cull_connected": False}


@pytest.mark.parametrize(
    "path", ["/", "/api/kernels/0b1f0f6c-0000-0000-0000-000000000000/channels", "/voila/files/monitoring.ipynb"]
)
def test_a_page_on_this_machine_does_not_answer_to_a_foreign_name(guarded, path):
    assert status(guarded, "evil.example", path, Authorization=f"token {TOKEN}") == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "iris.example", "iris.example:8080"])
def test_it_answers_to_names_of_this_machine_and_to_those_that_are_set(guarded, host):
    assert status(guarded, host, "/login") == 200


def test_only_a_page_that_listens_on_this_machine_looks_at_the_name():
    assert _host_settings("0.0.0.0", "a")["allow_remote_access"]
    assert not _host_settings("127.0.0.1")["allow_remote_access"]
    assert _host_settings("127.0.0.1", " a, b,")["local_hostnames"] == ["localhost", "a", "b"]


def test_signing_out_leads_to_the_page_and_forgets_the_visitor(guarded):
    with httpx.Client(base_url=guarded, timeout=60) as client:
        client.get("/login", params={"token": TOKEN})
        assert client.cookies
        done = client.get("/logout")
        assert (done.status_code, done.headers["location"]) == (302, "/")
        assert not client.cookies
        assert client.get("/").headers["location"].startswith("/login")


@pytest.mark.parametrize("token", ["", "  ", None])
def test_a_page_for_other_machines_is_refused_without_a_token(monkeypatch, token):
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("it was started"))
    monkeypatch.setenv("IRIS_DASHBOARD_HOST", "0.0.0.0")
    monkeypatch.delenv("IRIS_ALLOW_OPEN", raising=False)
    monkeypatch.delenv("IRIS_DASHBOARD_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("IRIS_DASHBOARD_TOKEN", token)
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 1
    assert "set IRIS_DASHBOARD_TOKEN" in done.output


@pytest.mark.parametrize("more", [{"IRIS_DASHBOARD_TOKEN": TOKEN}, {"IRIS_ALLOW_OPEN": "1"}])
def test_a_page_for_other_machines_is_shown_with_a_token_or_where_that_is_meant(more):
    assert _exposure({"IRIS_DASHBOARD_HOST": "0.0.0.0", **more}) == ""


def test_a_token_of_blanks_is_none(tmp_path):
    environ = {"IRIS_DASHBOARD_TOKEN": "  "}
    assert "--token" not in _voila_command(tmp_path, environ)
    assert "JUPYTER_TOKEN" not in _voila_environment(tmp_path, environ)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e3"])
def test_a_number_of_kernels_that_is_none_is_named(monkeypatch, text):
    monkeypatch.setenv("IRIS_DASHBOARD_KERNELS", text)
    with pytest.raises(ConfigError, match="IRIS_DASHBOARD_KERNELS"):
        _kernel_limit()


class Kernels(BoundedKernelManager):
    "Two kernels that cost nothing: one has a browser, the other was left some seconds ago."

    def __init__(self, seconds):
        super().__init__(most=2)
        self.begun, self.ended = [], []
        self._pools = {"page": []}
        self.kept = {"read": SimpleNamespace(last_activity=datetime.now(UTC) - timedelta(hours=1))}
        self.kept["left"] = SimpleNamespace(last_activity=datetime.now(UTC) - timedelta(seconds=seconds))
        self._kernel_connections = {"read": 1, "left": 0}

    def __len__(self):
        return len(self.kept)

    def list_kernel_ids(self):
        return list(self.kept)

    def get_kernel(self, kernel_id):
        return self.kept[kernel_id]

    def fill_if_needed(self, notebook_name):
        self.begun.append(notebook_name)

    async def shutdown_kernel(self, kernel_id):
        self.ended.append(kernel_id)


def test_a_kernel_that_could_not_start_is_forgotten_and_started_when_there_is_room():
    failed: Future[None] = Future()
    failed.set_exception(ValueError("no room"))
    kernels = Kernels(seconds=1)
    kernels._pools["page"].append(failed)
    kernels.refill()
    assert (kernels._pools, kernels.begun) == ({"page": []}, [])
    del kernels.kept["left"]
    kernels.refill()
    assert kernels.begun == ["page"]


@pytest.mark.parametrize(("seconds", "ended"), [(5, []), (60, ["left"])])
def test_a_kernel_that_was_left_makes_room_after_a_grace_and_one_with_a_browser_never(seconds, ended):
    kernels = Kernels(seconds)
    assert asyncio.run(kernels.make_room("page")) == bool(ended)
    assert kernels.ended == ended
