"""Pipes that are read from the front."""

from .callable import CollatorIterDataPipe, MapperIterDataPipe
from .combinatorics import SamplerIterDataPipe, ShufflerIterDataPipe
from .combining import (
    ConcaterIterDataPipe,
    DemultiplexerIterDataPipe,
    ForkerIterDataPipe,
    MultiplexerIterDataPipe,
    ZipperIterDataPipe,
)
from .files import (
    FileListerIterDataPipe,
    FileOpenerIterDataPipe,
    RoutedDecoderIterDataPipe,
    StreamReaderIterDataPipe,
)
from .grouping import (
    BatcherIterDataPipe,
    GrouperIterDataPipe,
    ShardingFilterIterDataPipe,
    UnBatcherIterDataPipe,
)
from .selecting import FilterIterDataPipe
from .utils import IterableWrapperIterDataPipe

Batcher, Grouper, UnBatcher = BatcherIterDataPipe, GrouperIterDataPipe, UnBatcherIterDataPipe
ShardingFilter = ShardingFilterIterDataPipe
Collator, Filter, Mapper = CollatorIterDataPipe, FilterIterDataPipe, MapperIterDataPipe
IterableWrapper, Sampler, Shuffler = IterableWrapperIterDataPipe, SamplerIterDataPipe, ShufflerIterDataPipe
Concater, Multiplexer, Zipper = ConcaterIterDataPipe, MultiplexerIterDataPipe, ZipperIterDataPipe
Demultiplexer, Forker = DemultiplexerIterDataPipe, ForkerIterDataPipe
FileLister, FileOpener, StreamReader = (
    FileListerIterDataPipe,
    FileOpenerIterDataPipe,
    StreamReaderIterDataPipe,
)
RoutedDecoder = RoutedDecoderIterDataPipe

__all__ = [
    "Batcher", "Collator", "Concater", "Demultiplexer", "FileLister", "FileOpener", "Filter", "Forker",
    "Grouper", "IterableWrapper", "Mapper", "Multiplexer", "RoutedDecoder", "Sampler", "ShardingFilter",
    "Shuffler", "StreamReader", "UnBatcher", "Zipper",
]  # fmt: skip
