"""ONNX' container, written only: a graph of operators with what it computes with; nothing about models."""

from electra_convert.formats.onnx.model import IR_VERSION, OPSET, Attribute, Graph, Node, Port
from electra_convert.formats.onnx.writer import data_files, open_folder_sink

__all__ = ["IR_VERSION", "OPSET", "Attribute", "Graph", "Node", "Port", "data_files", "open_folder_sink"]
