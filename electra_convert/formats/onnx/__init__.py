"""ONNX' container: a graph of operators with what it computes with; nothing about models."""

from electra_convert.formats.onnx.model import IR_VERSION, OPSET, Attribute, Graph, Node, Port
from electra_convert.formats.onnx.reader import OnnxFile, frame_of
from electra_convert.formats.onnx.writer import data_files, open_folder_sink

__all__ = [
    "IR_VERSION",
    "OPSET",
    "Attribute",
    "Graph",
    "Node",
    "OnnxFile",
    "Port",
    "data_files",
    "frame_of",
    "open_folder_sink",
]
