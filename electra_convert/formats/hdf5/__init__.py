"""HDF5 files of the form that Keras writes, read without the HDF5 library; nothing about models."""

from electra_convert.formats.hdf5.reader import Hdf5Source, open_source

__all__ = ["Hdf5Source", "open_source"]
