"""torch, transformers, TensorFlow and huggingface_hub, imported when they are needed: quietly, and with a plain
sentence where one is missing, which begins with the purpose it is needed for; holds no model."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from urllib.parse import urlsplit

from electra_convert.errors import MissingPackageError, UsageError, listing


def require_packages(extra: str, purpose: str, *packages: str) -> None:
    """Say at once what is to be installed, before any work is done; imports nothing.

    Raises:
        MissingPackageError: one of the packages is not installed.
    """
    if missing := [name for name in packages if not _is_installed(name)]:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingPackageError(
            f"{listing(missing)} {verb} needed {purpose}, and not installed",
            f"pip install 'electra-convert[{extra}]'",
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def import_torch(purpose: str) -> ModuleType:
    """Import PyTorch."""
    return _imported("PyTorch", "torch", purpose, lambda: import_module("torch"))


def stand_in(name: str, error: ImportError) -> type:
    """A class to have in place of one that is made of PyTorch, where that cannot be imported: making one says so."""

    def __init__(self: object, *_: object, **__: object) -> None:  # noqa: N807 - a class's own
        raise MissingPackageError(
            f"PyTorch is needed for {name}, and cannot be imported: {error}", "pip install 'electra-convert[torch]'"
        ) from error

    return type(name, (), {"__init__": __init__, "__doc__": f"{name} needs PyTorch."})


def import_transformers(purpose: str) -> ModuleType:
    """Import transformers, and the PyTorch that it needs."""
    import_torch(purpose)
    return _imported("transformers", "torch", purpose, _load_transformers)


def import_tensorflow(purpose: str) -> ModuleType:
    """Import TensorFlow, without what it prints of oneDNN and processors, and kept off any GPU."""
    # Read once, when TensorFlow is loaded; a caller's own choice stands. oneDNN announces itself whatever the level,
    # and orders sums in other ways than the TensorFlow that ELECTRA was written for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    tensorflow = _imported("TensorFlow", "tensorflow", purpose, lambda: import_module("tensorflow"))
    _keep_off_gpus(tensorflow)
    return tensorflow


def import_huggingface_hub(purpose: str) -> ModuleType:
    """Import huggingface_hub, the Hub's own client; raises UsageError where HF_ENDPOINT is no address."""
    if endpoint := os.environ.get("HF_ENDPOINT"):
        _require_address(endpoint)
    return _imported("huggingface_hub", "hub", purpose, _load_huggingface_hub)


def _require_address(endpoint: str) -> None:
    """What stands before an @ is not shown: it may be a password."""
    try:
        parts = urlsplit(endpoint)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return
        reason = "expected http:// or https://, and a host"
    except ValueError as error:
        reason = str(error).rpartition("@")[2]
    shown = endpoint.rpartition("@")[2]
    raise UsageError(
        f"HF_ENDPOINT is {shown!r}, which is no address: {reason}", "Such as https://huggingface.co, or unset it."
    ) from None


def import_ml_dtypes(purpose: str) -> ModuleType:
    """Import ml_dtypes, numpy's bfloat16, which comes with TensorFlow and JAX."""
    try:
        return import_module("ml_dtypes")
    except ImportError as error:
        raise MissingPackageError(
            f"ml_dtypes is needed {purpose}, and cannot be imported: {error}",
            "pip install ml_dtypes, or take --framework torch.",
        ) from error


def import_onnxruntime(purpose: str) -> ModuleType:
    """Import onnxruntime."""
    return _imported("onnxruntime", "onnx", purpose, lambda: import_module("onnxruntime"))


def _load_transformers() -> ModuleType:
    """Its ELECTRA classes, and most of what they need, are imported only once they are asked for."""
    import_module("transformers.models.electra.modeling_electra")
    return import_module("transformers")


def _load_huggingface_hub() -> ModuleType:
    """Its modules are attributes of the package only once something has imported them."""
    for part in ("constants", "errors", "utils"):
        import_module(f"huggingface_hub.{part}")
    return import_module("huggingface_hub")


def import_accelerate(purpose: str) -> ModuleType:
    """Import accelerate."""
    return _imported("accelerate", "pretrain", purpose, lambda: import_module("accelerate"))


def import_matplotlib_figure(purpose: str) -> ModuleType:
    """Import matplotlib's figures, which need no screen."""
    return _imported("matplotlib", "pretrain", purpose, lambda: import_module("matplotlib.figure"))


def import_pyarrow(purpose: str) -> ModuleType:
    """Import pyarrow, with what reads Parquet."""

    def load() -> ModuleType:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")

    return _imported("pyarrow", "corpora", purpose, load)


def _imported(name: str, extra: str, purpose: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        with _uncollected():
            return load()
    except ImportError as error:
        raise MissingPackageError(
            f"{name} is needed {purpose}, and cannot be imported: {error}", f"pip install 'electra-convert[{extra}]'"
        ) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """An import makes hundreds of thousands of objects, all to stay: no garbage is looked for among them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _keep_off_gpus(tensorflow: ModuleType) -> None:
    """TensorFlow would take all memory of every GPU for itself; after its first operation it is too late to ask."""
    try:
        tensorflow.config.set_visible_devices([], "GPU")
    except RuntimeError:
        return


@contextmanager
def quiet_transformers(transformers: ModuleType) -> Iterator[None]:
    """Keep transformers from printing progress and reports; what these say is looked at by the caller instead."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
