"""The door: tables in, validation once, the data sets."""

from bayesgmm.data.datasets import DataSet, dataset_names, describe, load_dataset
from bayesgmm.data.errors import InputError, nearest
from bayesgmm.data.table import Table, read_table

__all__ = [
    "DataSet",
    "InputError",
    "Table",
    "dataset_names",
    "describe",
    "load_dataset",
    "nearest",
    "read_table",
]
