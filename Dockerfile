# A demo server: `docker build -t vivit .`, or with `--build-arg DEVICE=cuda` for NVIDIA GPUs. See 'A demo server' in README.md.
FROM python:3.12-slim-trixie
ARG DEVICE=cpu

# What torch.compile and Triton build their kernels with.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 demo \
    && mkdir /data \
    && chown demo /data

WORKDIR /home/demo/app
COPY requirements.txt constraints.txt ./
# PyPI's torch brings CUDA, gigabytes that a server without a GPU has no use for.
RUN if [ "$DEVICE" = cpu ]; then \
        pip install --no-cache-dir --no-deps --index-url https://download.pytorch.org/whl/cpu "$(grep -o '^torch==[0-9.]*' requirements.txt)"; \
    fi \
    && pip install --no-cache-dir -r requirements.txt -c constraints.txt
COPY . .

USER 1000
# What is to outlive a container: recorded sweeps and evaluations, and downloaded checkpoints and clips.
ENV VIVIT_RESULTS=/data/results HF_HOME=/data/huggingface
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=90s --interval=30s --timeout=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/healthz', timeout=8)"]
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
