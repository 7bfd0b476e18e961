"""This service beside other ways to serve the same model, on this machine.

    make bench-peers      or: .venv/bin/python -m bench.peers [--only reference ceiling] [--repeat 3] [--seconds 5]

The first run makes a virtual environment for each of them in ~/.cache/iris-nb-bench (a few GB). Only the ratios
mean something: absolute numbers follow the machine and its mood. See bench/README.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.harness import Heard, Server, call, make_home, median, memory, named, ours, rows, running
from iris_nb.table import SCHEMA

HERE = Path(__file__).parent / "peers"
CACHE = Path.home() / ".cache" / "iris-nb-bench"
PACKAGES = {
    "ceiling": ["granian", "uvloop"],
    "reference": ["fastapi", "uvicorn[standard]", "scikit-learn", "pandas"],
    "mlserver": ["mlserver", "mlserver-sklearn", "scikit-learn", "pandas"],
    "mlflow": ["mlflow", "scikit-learn", "pandas", "uvicorn", "skops"],
    "litserve": ["litserve", "scikit-learn", "pandas"],
    "bentoml": ["bentoml", "scikit-learn", "pandas"],
}


def prepare(name: str, fits: bool = True) -> Path:
    "The peer's folder, with its environment and, where it `fits`, its model; made where it is not there yet."
    folder = CACHE / name
    if (folder / "ready").exists():
        return folder
    uv = shutil.which("uv") or str(Path(__file__).parents[1] / ".uv" / "bin" / "uv")
    print(f"Installing {name}…", flush=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES[name]], check=True)
    if fits and name != "ceiling":
        extra = ["mlflow"] if name == "mlflow" else []
        subprocess.run([python, str(HERE / "fit.py"), str(folder), ",".join(SCHEMA.names), *extra], check=True)
    if name == "mlserver":
        write_mlserver(folder)
    (folder / "ready").touch()
    return folder


def write_mlserver(folder: Path) -> None:
    model = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib"), "version": "1"},
    }
    settings = {"host": "127.0.0.1", "http_port": 8184, "grpc_port": 8185, "metrics_port": 8186, "parallel_workers": 0}
    (folder / "served").mkdir(exist_ok=True)
    (folder / "served" / "settings.json").write_text(json.dumps(settings))
    (folder / "served" / "model-settings.json").write_text(json.dumps(model))


def tensor(count: int) -> dict[str, Any]:
    "Rows as the Open Inference Protocol has them."
    values = [value for row in rows(count) for value in row]
    shape = [count, len(SCHEMA.names)]
    return {
        "inputs": [{"name": "x", "shape": shape, "datatype": "FP64", "data": values}],
        "outputs": [{"name": "predict_proba"}],
    }


def frame(count: int) -> dict[str, Any]:
    "Rows as MLflow has them."
    return {"dataframe_split": {"columns": list(SCHEMA.names), "data": rows(count)}}


def samples(count: int) -> dict[str, Any]:
    return {"samples": named(count)}


def peer(name: str, scratch: Path) -> Server:
    "How a peer is started and asked, each with one worker."
    folder, row = prepare(name), {"row": rows(1)[0]}
    exe: Callable[[str], str] = lambda program: str(folder / "bin" / program)  # noqa: E731
    environ = {
        "NAMES": ",".join(SCHEMA.names), "CLASSES": ",".join(SCHEMA.classes), "MODEL": str(folder / "model.joblib"),
        "DATABASE": str(scratch / "reference.db"), "PORT": "8187", "BENTOML_DO_NOT_TRACK": "1",
        "PYTHONPATH": str(HERE), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    batches = "/predict/batch", samples
    quick = ["--interface", "asgi", "--loop", "uvloop", "--no-access-log", "--port", "8181", "ceiling_app:app"]
    calm = ["--port", "8182", "--log-level", "warning", "--no-access-log"]
    flow = ["models", "serve", "-m", str(folder / "mlflow_model"), "-p", "8183", "--env-manager", "local"]
    bento = ["serve", "bento_app:Classifier", "--port", "8188", "--host", "127.0.0.1"]
    made: dict[str, Sequence[Any]] = {
        "ceiling": ([exe("granian"), *quick], 8181, "/", named(1)[0]),
        "reference": ([exe("uvicorn"), "reference_app:app", *calm], 8182, "/predict", named(1)[0], *batches),
        "mlflow": ([exe("mlflow"), *flow, "--workers", "1"], 8183, "/invocations", frame(1), "/invocations", frame),
        "mlserver": (
            [exe("mlserver"), "start", str(folder / "served")],
            8184, "/v2/models/model/infer", tensor(1), "/v2/models/model/infer", tensor,
        ),
        "litserve": ([exe("python"), str(HERE / "lit_app.py")], 8187, "/predict", row),
        "bentoml": ([exe("bentoml"), *bento], 8188, "/predict", row),
    }  # fmt: skip
    command, port, *asked = made[name]
    return Server(name, command, f"http://127.0.0.1:{port}", *asked, environ=environ)


def compare(title: str, servers: Sequence[Server], ask: Callable[[Server], Heard], repeat: int, per: int = 1) -> None:
    "One table: each server's median, and how this project's relates to it."
    found: dict[str, list[Heard]] = {server.name: [] for server in servers}
    for _ in range(repeat):
        for server in servers:
            with running(server):
                found[server.name].append(ask(server))
    middle = {name: median(heard) for name, heard in found.items()}
    mine = middle["iris_nb"]
    print(f"\n{title}\n\n| | per second | p50 ms | p99 ms | iris_nb, times as many |\n|---|---:|---:|---:|---:|")
    for name, h in sorted(middle.items(), key=lambda item: item[1].per_second):
        times = mine.per_second / h.per_second
        print(f"| {name} | {h.per_second * per:,.0f} | {h.p50_ms:.2f} | {h.p99_ms:.1f} | {times:.2f} |", flush=True)


def compare_starts(servers: Sequence[Server]) -> None:
    print("\nStart\n\n| | first answer, s | MiB |\n|---|---:|---:|")
    for server in servers:
        with running(server) as (seconds, group):
            print(f"| {server.name} | {seconds:.2f} | {memory(group):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(PACKAGES), default=list(PACKAGES), help="these peers")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, whose median is told")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder))
        servers = [ours(home), *(peer(name, home) for name in asked.only)]
        batching = [server for server in servers if server.batch]

        def one(connections: int) -> Callable[[Server], Heard]:
            return lambda s: call(s.url + s.path, s.body, connections, asked.seconds)

        def thousand(s: Server) -> Heard:
            return call(s.url + s.batch_path, s.batch(1000), 4, asked.seconds)

        compare("One row a request, 32 callers", servers, one(32), asked.repeat)
        compare("One row a request, one caller", servers, one(1), asked.repeat)
        compare("1,000 rows a request, 4 callers: rows", batching, thousand, asked.repeat, per=1000)
        compare_starts(servers)


if __name__ == "__main__":
    main()
