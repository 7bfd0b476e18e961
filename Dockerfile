# Five images from one file:  docker build --target serve -t iris:serve .
#
#   serve       the REST service and nothing else: no notebooks, no MLflow, no scikit-learn, no compiler
#   baked       the same, with the champion of var/bundles inside
#   watch       `iris-nb watch`, which judges drift and quality on a schedule: no page, no figures, no server
#   dashboard   the monitoring page under Voila
#   train       the pipeline's notebooks; also MLflow's server
#
# All of them run as user 10001, write only below /var/lib/iris (and /tmp), and read secrets from files in
# /run/secrets. What they install is locked, with hashes, in deploy/lock (`make lock-images` writes it).
ARG PYTHON=3.11

# ---- where things are installed: uv, setuptools, the wheel of this repository
FROM docker.io/library/python:${PYTHON}-slim AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_SYSTEM_CERTS=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY deploy/lock/build.txt ./
RUN python -m venv /tools && /tools/bin/pip install --no-cache-dir --no-compile --quiet --require-hashes --requirement build.txt
COPY pyproject.toml setup.py settings.ini README.md LICENSE ./
COPY iris_nb iris_nb
COPY serve serve
RUN /tools/bin/uv build --quiet --wheel --no-build-isolation --python /tools/bin/python --out-dir /wheels .
COPY --chmod=755 deploy/image/install-locked deploy/image/lean /usr/local/bin/

FROM tools AS serve-files
COPY deploy/lock/serve.txt ./
RUN --mount=type=cache,target=/root/.cache/uv install-locked serve.txt
COPY deploy/image/unused.txt ./
RUN lean /src/unused.txt

FROM tools AS watch-files
COPY deploy/lock/watch.txt ./
RUN --mount=type=cache,target=/root/.cache/uv install-locked watch.txt --compile-bytecode

FROM tools AS dashboard-files
COPY deploy/lock/dashboard.txt ./
RUN --mount=type=cache,target=/root/.cache/uv install-locked dashboard.txt --compile-bytecode

FROM tools AS train-files
COPY deploy/lock/train.txt ./
RUN --mount=type=cache,target=/root/.cache/uv install-locked train.txt --compile-bytecode
# The pipeline's notebooks are looked for beside the library, as in a clone.
RUN ln -s ../../../nbs "$(/opt/iris/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nbs"

# ---- what all images share
FROM docker.io/library/python:${PYTHON}-slim AS base
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="iris_nb" \
      org.opencontainers.image.description="From a notebook to a logged prediction" \
      org.opencontainers.image.source="https://github.com/iris-nb/iris_nb" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 iris && \
    useradd --uid 10001 --gid iris --no-create-home --home-dir /tmp --shell /usr/sbin/nologin iris && \
    for folder in "" bundles report report/bundles runs; do \
      install --directory --owner=iris --group=iris "/var/lib/iris/$folder"; done && \
    ln -s report/watch.json /var/lib/iris/watch.json
COPY --chmod=755 deploy/image/with-secrets deploy/image/answers deploy/image/predicts deploy/image/fetch-bundle /usr/local/bin/
ENV PATH=/opt/iris/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    IRIS_HOME=/var/lib/iris IRIS_HOST=0.0.0.0 ORT_DISABLE_TELEMETRY=1 MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /opt/iris
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["with-secrets"]

FROM base AS watch
COPY --from=watch-files /opt/iris /opt/iris
CMD ["iris-nb", "watch"]

FROM base AS dashboard
COPY --from=dashboard-files /opt/iris /opt/iris
COPY nbs/dashboard nbs/dashboard
# Whoever reaches the page reads the log on it: it does not start without IRIS_DASHBOARD_TOKEN.
ENV IRIS_DASHBOARD_HOST=0.0.0.0 IRIS_DASHBOARD_PORT=8866
EXPOSE 8866
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["answers", "IRIS_DASHBOARD_PORT", "/voila/static/favicon.ico"]
CMD ["python", "-m", "iris_nb.run.servers"]

FROM base AS train
COPY --from=train-files /opt/iris /opt/iris
COPY nbs/pipeline nbs/pipeline
ENV IRIS_MLFLOW_PORT=5000
CMD ["iris-nb", "train"]

FROM base AS serve
COPY --from=serve-files /opt/iris /opt/iris
ENV IRIS_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["answers", "IRIS_PORT", "/health"]
CMD ["python", "-m", "serve"]

FROM serve AS baked
COPY --chown=10001:10001 var/bundles /var/lib/iris/bundles

# What `docker build .` makes where no target is named.
FROM serve
