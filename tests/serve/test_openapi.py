"""The documentation: a page for people, a document for programs that the service keeps to."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from iris_nb.examples import IRIS
from iris_nb.keys import new_key
from iris_nb.table import SCHEMA
from tests.serve.live import Live
from tests.serve.load import LONG

SECRET, KEY = new_key("tester")


COMMAND = [str(Path(sys.executable).parent / "schemathesis"), "run", "--no-color", "--checks=all", "--seed=1"]


COMMAND += ["--phases=examples,coverage,fuzzing", "--warnings=off", f"--header=X-API-Key:{SECRET}"]


#: Two operations take more than the document says, on purpose: a batch with `partial` takes bad rows, and a query of
#: the history takes `null` for a parameter that is left out.
GENEROUS = ["predict_batch", "history"]


#: A tensor has as many values as its shape says, and a row as many as there are columns: the document can't say that,
#: so that some of what it allows is refused, and some of what it does not name, such as the model's own name, is taken.
PROTOCOLS = ["oip_infer", "oip_version_infer", "invocations", "endpoint_invocations"]


#: A number of requests, so that a slow machine tries no fewer; under `make test-long` as many as a minute allows.
EXTENT = ["--max-time=60"] if LONG else ["--max-examples=40"]


PARTS = {
    "the strict ones": [*(f"--exclude-operation-id={name}" for name in GENEROUS + PROTOCOLS)],
    "the generous ones": [*(f"--include-operation-id={name}" for name in GENEROUS)]
    + ["--exclude-checks=negative_data_rejection"],
    "the protocols": [*(f"--include-operation-id={name}" for name in PROTOCOLS)]
    + ["--exclude-checks=positive_data_acceptance,negative_data_rejection"],
}


@pytest.fixture(scope="module")
def service(bundles, tmp_path_factory):
    "A service that asks for keys."
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(bundles, home / "bundles")
    with Live(home, {"IRIS_API_KEYS": f"{KEY.name}:{KEY.digest}", "IRIS_LOG_LEVEL": "warning"}) as service:
        yield service


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("selected", PARTS.values(), ids=PARTS)
def test_the_service_keeps_to_its_document(service, selected, tmp_path):
    done = subprocess.run(
        [*COMMAND, *EXTENT, *selected, f"{service.url}/openapi.json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in service.said()


def test_the_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(path).status_code == 200, path
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_the_documentation_serves_no_other_file(client):
    assert client.get("/docs/LICENSE").status_code == 404
    assert client.get("/docs/..%2f__init__.py").status_code == 404


@pytest.fixture
def openapi(client):
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_openapi_tells_the_schema_in_full(irises):
    openapi = irises.get("/openapi.json").json()
    assert openapi["openapi"].startswith("3.1")
    told = openapi["components"]["schemas"][IRIS.row.title()]
    assert told["additionalProperties"] is False
    assert told["required"] == list(IRIS.names)
    for f in IRIS.features:
        found = told["properties"][f.name]
        assert (found["minimum"], found["maximum"], found["x-unit"]) == (f.low, f.high, f.unit)
        assert found["examples"] == [f.example]
        assert f.description in found["description"]


def test_every_operation_has_an_id_a_summary_and_its_errors(openapi):
    operations = [o for path in openapi["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(operations) == 27
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
    told = openapi["paths"]["/predict"]["post"]["responses"]
    assert set(told) == {"200", "400", "401", "408", "413", "415", "429", "503"}
    assert told["400"]["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_reference_in_openapi_leads_somewhere(openapi, client):
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', client.get("/openapi.json").text))
    assert references <= set(openapi["components"]["schemas"])


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.browser
def test_the_documentation_can_be_tried_out_and_asks_no_other_machine(live, page):
    service = live()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{service.url}/docs")
    page.click("#operations-predictions-predict .opblock-summary")
    feature = SCHEMA.features[0]
    expect(page.locator("#operations-predictions-predict")).to_contain_text(feature.name)
    page.click("#operations-predictions-predict .try-out__btn")
    page.click("#operations-predictions-predict .execute")
    page.wait_for_selector("#operations-predictions-predict .live-responses-table")
    answer = page.inner_text("#operations-predictions-predict .live-responses-table")
    assert any(f'"{name}"' in answer for name in SCHEMA.classes)
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []
    assert said == []


@pytest.mark.parametrize(
    "path",
    ["", "/redoc", "/swagger", "/elements", "/rapidoc", "/scalar", "/openapi.json", "/openapi.yaml"],
)
def test_no_page_of_the_framework_is_left(client, path):
    for root in ("/openapi", "/schema"):
        answer = client.get(root + path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_document_says_what_the_parsers_accept(openapi):
    for path, body in {
        "/predict": SCHEMA.row.title(),
        "/predict/batch": "Batch",
        "/predictions/{id}/label": "LabelRequest",
    }.items():
        told = openapi["paths"][path]["post"]["requestBody"]
        assert told["content"]["application/json"]["schema"]["$ref"].endswith(f"/{body}")
        assert told["required"]
    told = {p["name"]: p["schema"]["type"] for p in openapi["paths"]["/predict/batch"]["post"]["parameters"]}
    assert told == {"alpha": "number", "partial": "boolean", "looked_up": "boolean"}


def test_the_document_of_another_table_is_about_it(houses):
    found = houses.get("/openapi.json")
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', found.text))
    assert references <= set(found.json()["components"]["schemas"])
    assert "House" in references
    parameters = found.json()["paths"]["/predictions/history"]["get"]["parameters"]
    assert {"slowly", "quickly"} in [set(p["schema"].get("enum", [])) for p in parameters]
