import io

import pytest

import flambeau as fb


def test_records_of_an_archive():
    file = io.BytesIO()
    fb.save({"a": fb.arange(5.0)}, file)
    reader = fb.PyTorchFileReader(file)
    assert reader.get_all_records()[0] == "data.pkl" and reader.get_record("version") == b"3\n"
    assert reader.has_record("data/0") and not reader.has_record("data/1")
    start, size = reader.get_record_offset("data/0"), reader.get_record_size("data/0")
    assert size == 20 and reader.get_record_header_offset("data/0") < start
    assert file.getvalue()[start : start + size] == reader.get_record("data/0")
    empty = reader.get_storage_from_record("data/0", 5, fb.float32)
    assert empty.numel() == 0 and empty.untyped_storage().nbytes() == 20


def test_what_is_no_archive_or_no_record():
    file = io.BytesIO()
    fb.save(1, file)
    with pytest.raises(RuntimeError, match="PytorchStreamReader failed locating file q: file not found"):
        fb.PyTorchFileReader(file).get_record("q")
    with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
        fb.PyTorchFileReader(io.BytesIO(b"abc"))
