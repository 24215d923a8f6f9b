"""TensorFlow's V2 checkpoints (tensor bundles), read and written without TensorFlow; nothing about models."""

from electra_convert.formats.tf_bundle.graphs import Node, read_nodes
from electra_convert.formats.tf_bundle.index import container_version, data_path, index_path, refuse_v1
from electra_convert.formats.tf_bundle.reader import BundleSource, open_source
from electra_convert.formats.tf_bundle.state_file import CheckpointState, encode_state, latest_prefix, read_state
from electra_convert.formats.tf_bundle.writer import BundleSink, open_sink

__all__ = [
    "BundleSink",
    "BundleSource",
    "CheckpointState",
    "Node",
    "container_version",
    "data_path",
    "encode_state",
    "index_path",
    "latest_prefix",
    "open_sink",
    "open_source",
    "read_nodes",
    "read_state",
    "refuse_v1",
]
