import os

# Before onnxruntime is imported anywhere: it would report its use to its maker otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
