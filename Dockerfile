# The image of every Tidemark command: the locked runtime dependencies, without torch, Java or a compiler, not as root.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir "uv>=0.8,<1"
# For the fast path of the profiles role; the image below has what it makes, and no compiler.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/opt/tidemark/venv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
# Dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE hatch_build.py ./
COPY triton_models triton_models
COPY serving serving
COPY stream stream
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tidemark --create-home tidemark
COPY --from=build /opt/tidemark/venv /opt/tidemark/venv
ENV PATH=/opt/tidemark/venv/bin:$PATH PYTHONUNBUFFERED=1
USER tidemark
# tidemark.toml is read from the working folder.
WORKDIR /etc/tidemark
ENTRYPOINT ["tidemark"]
CMD ["--help"]
