"""The customer network (torch). Only training and export import this; what serves is the exported ONNX file."""
