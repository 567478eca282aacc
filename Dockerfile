# One image for all: serve, worker, beat, migrate. docs/deployment.md says how it is run.

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/davserver \
    && /opt/davserver/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY davserver ./davserver
COPY providers ./providers
COPY tasks ./tasks
COPY migrations ./migrations
RUN /opt/davserver/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/davserver/bin/python -m pip uninstall --yes pip setuptools

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin davserver \
    && install -d -o davserver -g davserver -m 0700 /data
COPY --from=build /opt/davserver /opt/davserver
ENV PATH=/opt/davserver/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAVSERVER_HOST=0.0.0.0 \
    DAVSERVER_PORT=8080 \
    DAVSERVER_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['DAVSERVER_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["davserver"]
CMD ["serve"]
