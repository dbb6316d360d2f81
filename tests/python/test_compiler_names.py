"""Names of PyTorch's compiler that have an answer here."""

import os

import pytest

import flambeau as fb
from flambeau._dynamo.exc import BackendCompilerFailed
from flambeau._inductor import config, cpp_builder, cpu_vec_isa, exc
from flambeau._inductor.runtime.cache_dir_utils import cache_dir
from flambeau._inductor.utils import fresh_inductor_cache
from flambeau._subclasses import functional_tensor as functional


def test_names_that_have_an_answer(monkeypatch, tmp_path):
    fb._inductor.cudagraph_mark_step_begin()
    isa = cpu_vec_isa.pick_vec_isa()
    assert bool(isa) == (fb.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"))
    assert isa.nelements(fb.int8) == 4 * isa.nelements()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "c"))
    assert cache_dir() == str(tmp_path / "c") and os.path.isdir(tmp_path / "c")
    with fresh_inductor_cache():
        assert cache_dir() != str(tmp_path / "c")
    assert cache_dir() == str(tmp_path / "c")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match="no working C"):
        cpp_builder.get_cpp_compiler()


def test_tensors_of_programs_without_writes():
    x = fb.ones(2)
    with functional.disable_functional_mode():
        assert functional.mb_unwrap_functional_tensor(x) is x
    assert not isinstance(x, functional.FunctionalTensor)
    from flambeau._functorch._aot_autograd import functional_utils as utils

    assert utils.from_fun(x) is x and not utils.is_fun(x)
    for refused in (utils.to_fun, functional.FunctionalTensor, functional.FunctionalTensorMode):
        with pytest.raises(NotImplementedError, match="flambeau records writes as they are"):
            refused(x)


def test_settings_of_the_generator():
    with config.patch({"max_autotune": True, "triton.cudagraphs": True}, not_listed_here=1):
        assert config.max_autotune and config.triton.cudagraphs and config.not_listed_here == 1
    assert not (config.max_autotune or config.triton.cudagraphs or hasattr(config, "not_listed_here"))

    @config.patch("cpp.threads", 3)
    def threads():
        return config.cpp.threads

    assert threads() == 3 and threads() == 3 and config.cpp.threads == -1


def test_errors_of_the_generator():
    assert issubclass(exc.InductorError, BackendCompilerFailed)
    error = exc.CppCompileError(["cc", "a.cpp"], b"no")
    assert error.cmd == ["cc", "a.cpp"] and error.output == "no" and "cc a.cpp" in str(error)
    assert issubclass(exc.CUDACompileError, exc.CppCompileError)
    lost = exc.MissingOperatorWithoutDecomp("aten.x", [1], {"k": 2})
    assert isinstance(lost, exc.OperatorIssue) and "args[0]: 1" in str(lost)
    assert "ValueError: no" in str(exc.LoweringException(ValueError("no"), "aten.x", [], {}))


def test_settings_come_back_after_a_refused_one():
    config = fb._dynamo.config
    with pytest.raises(AttributeError, match="nosuch does not exist"):
        with config.patch(recompile_limit=1, nosuch=3):
            raise AssertionError("not reached")
    assert config.recompile_limit == 8

    @config.patch("cache_size_limit", 2)
    def within():
        return config.recompile_limit

    assert within() == within() == 2 and config.recompile_limit == 8
