"""What refusals call things, and checkpoints that PyTorch would not write or read."""

import io
import pickle

import pytest

import flambeau as fb


def saved(value: object, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    fb.save(value, file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_refusal_names_what_a_user_can_allow(protocol):
    file = saved(print, pickle_protocol=protocol)
    assert fb.serialization.get_unsafe_globals_in_checkpoint(file) == ["builtins.print"]
    with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL print was not .*add_safe_globals\(\[print\]\)"):
        file.seek(0)
        fb.load(file)
    with fb.serialization.safe_globals([print]):
        file.seek(0)
        assert fb.load(file) is print


def test_four_modules_are_blocked_whatever_is_allowed():
    import sys

    with fb.serialization.safe_globals([sys.exit]):
        with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL sys\.exit whose module sys is blocked"):
            fb.load(saved(sys.exit))
    with pytest.raises(pickle.UnpicklingError, match=r"subprocess\..* was not an allowed global"):
        import subprocess

        fb.load(saved(subprocess.Popen))


@pytest.mark.parametrize("zipped", [True, False])
def test_one_memory_has_one_type_in_a_file(zipped):
    x = fb.arange(4.0)
    message = "Cannot save multiple tensors or storages that view the same data as different types"
    for value in ([x, x.view(fb.int32)], [x.untyped_storage(), x]):
        with pytest.raises(RuntimeError, match=message):
            fb.save(value, io.BytesIO(), _use_new_zipfile_serialization=zipped)
    fb.save([x, x.untyped_storage()], io.BytesIO(), _use_new_zipfile_serialization=zipped)
    again = fb.load(saved([x, x[1:]], _use_new_zipfile_serialization=zipped))
    assert again[0].data_ptr() + 4 == again[1].data_ptr()


def test_sparse_tensors_without_values():
    sparse = fb.eye(2).to_sparse()
    file = saved([sparse, fb.eye(2).to_sparse_csr()])
    assert fb.serialization.get_unsafe_globals_in_checkpoint(file) == []
    file.seek(0)
    coo, csr = fb.load(file, map_location="meta")
    assert (coo.device.type, coo.layout, tuple(coo.shape)) == ("meta", fb.sparse_coo, (2, 2))
    assert repr(coo) == (
        "tensor(indices=tensor(..., size=(2, 2)),\n       values=tensor(..., size=(2,)),\n"
        "       device='meta', size=(2, 2), layout=torch.sparse_coo)"
    )
    assert repr(csr) == (
        "tensor(crow_indices=tensor(..., size=(3,)),\n       col_indices=tensor(..., size=(2,)),\n"
        "       values=tensor(..., size=(2,)), device='meta', size=(2, 2),\n       layout=torch.sparse_csr)"
    )


def test_only_zip_files_are_searched_for_globals():
    with pytest.raises(ValueError, match=r"a checkpoint returned by torch\.save"):
        fb.serialization.get_unsafe_globals_in_checkpoint(saved({}, _use_new_zipfile_serialization=False))
