"""Writing event files that TensorBoard shows: ``SummaryWriter``. TensorBoard itself is not needed."""

from ._records import RecordWriter
from .writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "RecordWriter", "SummaryWriter"]
