# The page in a container: docker build -t actmaps . && docker run --rm -p 127.0.0.1:8501:8501 actmaps
# It serves the example that is trained here, read-only. For models of your own, mount a folder and name it:
# docker run --rm -p 127.0.0.1:8501:8501 -v "$PWD/models:/models:ro" actmaps --models /models
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app
COPY --chown=user pyproject.toml README.md LICENSE ./
COPY --chown=user keras_actmaps keras_actmaps
RUN pip install --no-cache-dir ".[data,ui]" && chown user:user .
USER user
ENV KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3
RUN actmaps-train --dataset drawn-grid --explain gradcam
EXPOSE 8501
ENTRYPOINT ["python", "-m", "keras_actmaps.ui.launch", "--address", "0.0.0.0", "--read-only"]
