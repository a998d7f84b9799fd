"""The compiler: addresses, object code that outlives the process, refusals that do not kill it."""

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rushlight.codegen import compiler
from rushlight.codegen.compiler import (
    CompileError,
    compile_functions,
    compile_module,
    statistics,
)
from rushlight.codegen.disk_cache import DiskCache

TWICE = "define i64 @twice(i64 %x) { %y = add i64 %x, %x  ret i64 %y }"


def call_integer(address: int, *values: int) -> int:
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(values))
    return prototype(address)(*values)


@pytest.fixture
def fresh_disk(tmp_path, monkeypatch):
    """An empty disk cache and a compiler that remembers no module."""
    host = compiler._host()
    monkeypatch.setattr(host, "disk", DiskCache(str(tmp_path / "cache")))
    monkeypatch.setattr(host, "addresses", {})
    return host.disk


def test_functions_run():
    text = TWICE + " define i64 @thrice(i64 %x) { %y = mul i64 %x, 3  ret i64 %y }"
    addresses = compile_module(text, ["twice", "thrice"])
    assert call_integer(addresses["twice"], 21) == 42
    assert call_integer(addresses["thrice"], 21) == 63


def test_same_names_in_different_modules_do_not_collide():
    other = TWICE.replace("%x, %x", "%x, 1")
    first = compile_module(TWICE, ["twice"])["twice"]
    second = compile_module(other, ["twice"])["twice"]
    assert (call_integer(first, 10), call_integer(second, 10)) == (20, 11)


def test_a_module_is_compiled_once(fresh_disk):
    compiled = compiler.statistics.compiled
    first = compile_module(TWICE, ["twice"])
    assert compiler.statistics.compiled == compiled + 1
    assert compile_module(TWICE, ["twice"]) == first
    assert compiler.statistics.compiled == compiled + 1


def test_object_code_is_loaded_from_disk(fresh_disk, monkeypatch):
    compile_module(TWICE, ["twice"])
    monkeypatch.setattr(compiler._host(), "addresses", {})
    compiled, loaded = compiler.statistics.compiled, compiler.statistics.loaded
    address = compile_module(TWICE, ["twice"])["twice"]
    assert call_integer(address, 4) == 8
    assert (compiler.statistics.compiled, compiler.statistics.loaded) == (compiled, loaded + 1)


def test_a_damaged_entry_is_compiled_again(fresh_disk, monkeypatch):
    compile_module(TWICE, ["twice"])
    [entry] = os.listdir(fresh_disk.directory)
    path = os.path.join(fresh_disk.directory, entry)
    with open(path, "r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"\xff" * 8)
    monkeypatch.setattr(compiler._host(), "addresses", {})
    compiled = compiler.statistics.compiled
    assert call_integer(compile_module(TWICE, ["twice"])["twice"], 4) == 8
    assert compiler.statistics.compiled == compiled + 1


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [("exp", 0.0, 1.0), ("lgamma", 3.0, 0.6931471805599453), ("erf", 0.0, 0.0), ("cbrt", 8.0, 2.0)],
)
def test_libm_is_found(name, argument, expected):
    text = (
        f"declare double @{name}(double)\n"
        f"define double @f(double %x) {{ %y = call double @{name}(double %x)  ret double %y }}"
    )
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(compile_module(text, ["f"])["f"])
    assert function(argument) == pytest.approx(expected, abs=1e-15)


def test_memory_intrinsics_become_calls_that_are_found():
    text = """
    declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    define void @f(ptr %to, ptr %from, i64 %n) {
      call void @llvm.memset.p0.i64(ptr %to, i8 7, i64 %n, i1 false)
      %half = lshr i64 %n, 1
      call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %half, i1 false)
      ret void
    }"""
    function = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64)(
        compile_module(text, ["f"])["f"]
    )
    target = ctypes.create_string_buffer(8)
    function(target, b"abcdefgh", 8)
    assert target.raw == b"abcd\7\7\7\7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no assembly", "LLVM refused"),
        ("define i64 @f() { ret i32 0 }", "LLVM refused"),
        ("define void @f() { ret void } define void @f() { ret void }", "LLVM refused"),
        (
            "declare void @no_such_function()\n"
            "define void @f() { call void @no_such_function()  ret void }",
            "'no_such_function' is not in this process",
        ),
        (
            "declare float @llvm.unheard.of.f32(float)\n"
            "define void @f() { %x = call float @llvm.unheard.of.f32(float 0.0)  ret void }",
            "unheard.of.f32",
        ),
    ],
)
def test_bad_text_is_refused(text, message):
    with pytest.raises(CompileError, match=message):
        compile_module(text, ["f"])


def test_a_name_that_the_module_lacks_is_refused():
    with pytest.raises(CompileError, match="cannot link g"):
        compile_module(TWICE, ["g"])


def test_the_host_is_described():
    assert compiler.host_cpu()
    assert compiler.host_features()
    assert "LLVM" in compiler.versions()


def test_code_for_other_machines():
    text = """define void @f(ptr %a) {
      %v = load <8 x float>, ptr %a, align 4
      %w = fadd <8 x float> %v, %v
      store <8 x float> %w, ptr %a, align 4
      ret void
    }"""
    arm = compiler.cross_compile(text, "aarch64-unknown-linux-gnu", "neoverse-n1")
    avx2 = compiler.cross_compile(text, "x86_64-unknown-linux-gnu", "haswell")
    # The machine field of the ELF header.
    assert arm[18:20] == (183).to_bytes(2, "little")
    assert avx2[18:20] == (62).to_bytes(2, "little")
    assert "ymm" in compiler.assembly(text, "x86_64-unknown-linux-gnu", "haswell", "")
    with pytest.raises(CompileError):
        compiler.cross_compile(text, "pdp11-dec-unix", "")


def test_ptx():
    text = compiler.assembly(
        "define ptx_kernel void @kernel() { ret void }", "nvptx64-nvidia-cuda", "sm_80"
    )
    assert ".visible .entry kernel" in text


def test_several_threads_compile_at_once():
    results: dict[int, int] = {}

    def work(number: int) -> None:
        text = TWICE.replace("%x, %x", f"%x, {number}")
        results[number] = call_integer(compile_module(text, ["twice"])["twice"], 1000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 1000 + number for number in range(8)}


def test_llvmlite_is_loaded_at_the_first_compile_only():
    program = (
        "import sys, rushlight.codegen.compiler as c; assert 'llvmlite' not in sys.modules; "
        "c.host_cpu(); assert 'llvmlite' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_child_can_compile_while_the_parent_does(tmp_path):
    program = """
import os, threading
from rushlight.codegen.compiler import compile_module
text = "define i64 @f(i64 %x) {{ %y = add i64 %x, {}  ret i64 %y }}"
stop = False
def work():
    number = 0
    while not stop:
        number += 1
        compile_module(text.format(number), ["f"])
thread = threading.Thread(target=work)
thread.start()
for attempt in range(5):
    child = os.fork()
    if child == 0:
        compile_module(text.format(10**6 + attempt), ["f"])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop = True
thread.join()
"""
    environment = {**os.environ, "RUSHLIGHT_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)


def _plus(number: int) -> str:
    return (
        "declare double @llvm.fabs.f64(double)\n"
        f"define i64 @plus{number}(i64 %x) {{\n  %y = add i64 %x, {number}\n  ret i64 %y\n}}"
    )


def test_functions_of_one_module_are_found_by_themselves(fresh_disk, monkeypatch):
    """Another process that wants some of them, beside new ones, compiles the new ones only."""
    texts = {f"plus{n}": _plus(n) for n in range(5)}
    before = statistics.compiled
    compile_functions(texts)
    assert statistics.compiled == before + 1
    wanted = {f"plus{n}": _plus(n) for n in (3, 4, 7)}
    addresses = compile_functions(wanted)
    assert statistics.compiled == before + 2
    assert [call_integer(addresses[f"plus{n}"], 1) for n in (3, 4, 7)] == [4, 5, 8]
    assert compile_functions(texts).keys() == texts.keys()
    assert statistics.compiled == before + 2


def test_a_module_dropped_from_the_cache_is_compiled_again(fresh_disk):
    texts = {f"plus{n}": _plus(n) for n in range(3)}
    compile_functions(texts)
    largest = max(Path(fresh_disk.directory).iterdir(), key=lambda file: file.stat().st_size)
    largest.unlink()
    before = statistics.compiled
    addresses = compile_functions(texts)
    assert statistics.compiled == before + 1
    assert call_integer(addresses["plus2"], 40) == 42
