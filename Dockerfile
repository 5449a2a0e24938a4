# One image for server, workers, scheduler and migrations: `docker run taskflow server`.
FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY requirements-uv.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.lock
COPY . .
# Versions and hashes of all that is installed, and of what builds it, are those of the lock.
RUN uv venv /opt/taskflow \
 && uv pip install --no-cache --python /opt/taskflow --compile-bytecode \
      --constraints requirements.lock --build-constraints requirements.lock ".[server,worker]"

FROM python:3.13-slim-trixie
# A new volume takes the owner of the folder that it covers.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent taskflow \
 && install --directory --owner 10001 /var/lib/taskflow/results
COPY --from=build /opt/taskflow /opt/taskflow
# Time zones are those of the locked tzdata, so that all replicas of schedulers have the same.
ENV PATH=/opt/taskflow/bin:$PATH \
    PYTHONTZPATH="" \
    PYTHONUNBUFFERED=1 \
    TASKFLOW_GRPC_HOST=0.0.0.0 \
    TASKFLOW_LOG_FORMAT=json
USER 10001
EXPOSE 50051
ENTRYPOINT ["taskflow"]
CMD ["server"]
