"""The modules that programs reach as torch.X beside the tensor functions: what they do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rushlight as rl
from rushlight.nn.attention.flex_attention import create_block_mask, flex_attention


@pytest.fixture
def group():
    rl.distributed.init_process_group("gloo", world_size=1, rank=0)
    yield rl.distributed.group.WORLD
    rl.distributed.destroy_process_group()


def test_cuda_answers_and_refuses() -> None:
    cuda = rl.cuda
    assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_bf16_supported()
    assert cuda.memory_allocated() == cuda.max_memory_reserved() == 0
    assert cuda.get_rng_state_all() == []
    cuda.manual_seed_all(1)
    cuda.empty_cache()
    cuda.set_rng_state_all([])
    with cuda.stream(None), cuda.device(-1):
        pass
    for order in (cuda.synchronize, cuda.current_device, cuda.get_device_name, cuda.mem_get_info):
        with pytest.raises(AssertionError, match="is_available"):
            order()
    with pytest.raises(RuntimeError):
        cuda.Stream()
    for make in (lambda: rl.zeros(2, device="cuda"), lambda: rl.zeros(2).cuda()):
        with pytest.raises(AssertionError, match="not available"):
            make()
    assert not isinstance(rl.zeros(2), cuda.FloatTensor)


def test_other_devices() -> None:
    assert not rl.xpu.is_available() and not rl.mps.is_available() and rl.cpu.is_available()
    assert not rl.accelerator.is_available() and rl.accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="accelerator"):
        rl.accelerator.synchronize()
    assert rl.get_device_module() is rl.cpu and rl.get_device_module("cuda") is rl.cuda
    with pytest.raises(RuntimeError):
        rl.get_device_module("hpu")


def test_default_device_and_context() -> None:
    assert rl.get_default_device() == rl.device("cpu")
    with rl.device("meta"):
        assert rl.ones(2, 3).is_meta and rl.nn.Linear(2, 3).weight.is_meta
        assert rl.zeros(1, device="cpu").device.type == "cpu"
    assert rl.ones(2).device.type == "cpu"
    rl.set_default_device("meta")
    try:
        assert rl.tensor([1.0]).is_meta
    finally:
        rl.set_default_device(None)
    assert not rl.tensor([1.0]).is_meta


def test_backends_keep_what_is_set() -> None:
    cudnn = rl.backends.cudnn
    assert not cudnn.is_available() and cudnn.version() is None
    with cudnn.flags(benchmark=True, enabled=None):
        assert cudnn.benchmark is True and cudnn.enabled is True
    assert cudnn.benchmark is False
    rl.backends.cuda.matmul.allow_tf32 = True
    assert rl.backends.cuda.matmul.allow_tf32 is True
    rl.backends.cuda.matmul.allow_tf32 = False
    with pytest.raises(AttributeError, match="tf33"):
        rl.backends.cuda.matmul.allow_tf33 = True
    assert rl.backends.cuda.math_sdp_enabled()
    with rl.backends.cuda.sdp_kernel(enable_math=False):
        assert not rl.backends.cuda.math_sdp_enabled()
    assert not rl.backends.mps.is_built() and not rl.backends.mkldnn.is_available()


def test_switches() -> None:
    rl.use_deterministic_algorithms(True, warn_only=True)
    assert rl.are_deterministic_algorithms_enabled()
    assert rl.is_deterministic_algorithms_warn_only_enabled()
    assert rl.get_deterministic_debug_mode() == 1
    rl.set_deterministic_debug_mode("default")
    assert not rl.are_deterministic_algorithms_enabled()
    rl.set_float32_matmul_precision("high")
    assert rl.get_float32_matmul_precision() == "high"
    rl.set_float32_matmul_precision("highest")
    for wrong in (
        lambda: rl.set_float32_matmul_precision("low"),
        lambda: rl.set_deterministic_debug_mode(7),
    ):
        with pytest.raises(RuntimeError):
            wrong()


def test_scripting_and_compiling_return_what_runs() -> None:
    def double(x):
        return x * 2

    for make in (rl.compile, rl.jit.script, rl.jit.ignore, rl.jit.unused, rl.jit.export):
        assert make(double) is double
    assert rl.compile(mode="reduce-overhead")(double) is double
    assert rl.jit.ignore(drop=True)(double) is double
    seen = []
    assert rl.jit.trace(seen.append, (1,)) == seen.append and seen == [1]
    assert not rl.jit.is_scripting() and not rl.jit.is_tracing() and not rl.compiler.is_compiling()
    assert rl.jit.annotate(int, 3) == 3 and rl.jit.fork(double, 4).wait() == 8
    with pytest.raises(RuntimeError, match="mode"):
        rl.compile(double, mode="fastest")
    with pytest.raises(RuntimeError, match="eval"):
        rl.jit.freeze(rl.nn.Linear(1, 1))
    with pytest.raises(AttributeError, match="state_dict"):
        rl.jit.load


def test_typed_tensors() -> None:
    assert rl.FloatTensor(2, 3).shape == (2, 3) and rl.LongTensor([1, 2]).dtype == rl.int64
    assert isinstance(rl.ones(1), rl.FloatTensor) and not isinstance(rl.ones(1), rl.LongTensor)
    assert not isinstance(3, rl.FloatTensor)
    assert rl.LongTensor([1]).type(rl.DoubleTensor).dtype == rl.float64
    assert rl.ones(2, dtype=rl.int8).new([1, 2]).dtype == rl.int8
    assert rl.ones(3).to_dense().tolist() == [1.0, 1.0, 1.0]


def test_lists_of_tensors_agree_with_each_alone() -> None:
    xs, ys = [rl.ones(2), rl.full((3,), 2.0)], [rl.full((2,), 3.0), rl.ones(3)]
    assert [t.tolist() for t in rl._foreach_add(xs, ys, alpha=2)] == [[7.0] * 2, [4.0] * 3]
    assert [t.tolist() for t in rl._foreach_mul(xs, [2.0, 3.0])] == [[2.0] * 2, [6.0] * 3]
    assert [round(t.item(), 4) for t in rl._foreach_norm(xs)] == [1.4142, 3.4641]
    assert rl._foreach_sub_(xs, 1) is xs and xs[1].tolist() == [1.0] * 3
    rl._foreach_copy_(xs, ys)
    assert xs[0].tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="got 2 and 1"):
        rl._foreach_add(xs, ys[:1])
    with pytest.raises(RuntimeError, match="scalar list"):
        rl._foreach_add(xs, [1.0])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_check", RuntimeError),
        ("_check_value", ValueError),
        ("_check_type", TypeError),
        ("_check_index", IndexError),
        ("_check_not_implemented", NotImplementedError),
    ],
)
def test_checks(name: str, kind: type[Exception]) -> None:
    check = getattr(rl, name)
    check(True, lambda: pytest.fail("made without need"))
    with pytest.raises(kind, match="said"):
        check(False, lambda: "said")


def test_assertions() -> None:
    rl._assert(True, "")
    rl._assert_async(rl.tensor(2))
    with pytest.raises(AssertionError, match="said"):
        rl._assert(False, "said")
    with pytest.raises(RuntimeError, match="nonzero"):
        rl._assert_async(rl.tensor(0))


def test_profiler_counts_marked_parts(tmp_path: Path) -> None:
    ready = []
    plan = rl.profiler.schedule(wait=1, warmup=0, active=2, repeat=1)
    with rl.profiler.profile(schedule=plan, on_trace_ready=ready.append) as profile:
        for _ in range(5):
            with rl.profiler.record_function("outer"), rl.profiler.record_function("inner"):
                rl.ones(8).square().sum().item()
            profile.step()
    assert ready == [profile]
    averages = {event.key: event for event in profile.key_averages()}
    assert averages["outer"].count == averages["inner"].count == 2
    assert averages["outer"].cpu_time_total >= averages["inner"].cpu_time_total > 0
    assert averages["outer"].self_cpu_time_total < averages["outer"].cpu_time_total
    assert "inner" in profile.key_averages().table(sort_by="cpu_time_total")
    assert profile.engine_counts()["flushes"] >= 2
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sorted(event["name"] for event in events) == ["inner", "inner", "outer", "outer"]


def test_custom_op_has_its_gradient() -> None:
    @rl.library.custom_op("alias_test::twice", mutates_args=())
    def twice(x):
        return x * 2

    x = rl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        twice(x).sum().backward()
    twice.register_autograd(lambda ctx, grad: grad * ctx.k, setup_context=_keep_three)
    twice(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="already defined"):
        rl.library.custom_op("alias_test::twice", lambda x: x, mutates_args=())
    with pytest.raises(ValueError, match="namespace"):
        rl.library.custom_op("twice", lambda x: x)


def _keep_three(ctx, inputs, output) -> None:
    ctx.k = 3


def test_futures() -> None:
    future = rl.futures.Future()
    doubled = future.then(lambda done: done.value() * 2)
    both = rl.futures.collect_all([future, doubled])
    assert not both.done()
    future.set_result(4)
    assert doubled.wait() == 8 and both.done() and rl.futures.wait_all([future, doubled]) == [4, 8]
    with pytest.raises(RuntimeError, match="once"):
        future.set_result(5)
    failed = rl.futures.Future()
    failed.set_exception(ValueError("boom"))
    with pytest.raises(ValueError, match="boom"):
        failed.wait()


def test_hub_runs_local_entry_points_and_verifies_files(tmp_path: Path) -> None:
    (tmp_path / "hubconf.py").write_text(
        "dependencies = ['numpy']\n"
        "def model(width=2):\n    'a model'\n    import helper\n    return helper.made(width)\n"
    )
    (tmp_path / "helper.py").write_text("def made(n):\n    return ['layer'] * n\n")
    folder = str(tmp_path)
    assert rl.hub.load(folder, "model", source="local", width=3) == ["layer"] * 3
    assert rl.hub.list(folder) == ["model"] and rl.hub.help(folder, "model") == "a model"
    with pytest.raises(ValueError, match="source='local'"):
        rl.hub.load("someone/repo", "model")
    with pytest.raises(RuntimeError, match="callable"):
        rl.hub.load(folder, "other", source="local")
    rl.save({"w": rl.ones(2)}, tmp_path / "w.pt")
    url = (tmp_path / "w.pt").as_uri()
    state = rl.hub.load_state_dict_from_url(url, str(tmp_path / "kept"), progress=False)
    assert state["w"].tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="hash"):
        rl.hub.download_url_to_file(url, str(tmp_path / "x"), "0000", progress=False)
    assert not (tmp_path / "x").exists() and not list(tmp_path.glob("*.partial"))


def test_pytree() -> None:
    tree = rl.utils._pytree
    value = {"a": [1, (2, None)], "b": 3}
    leaves, spec = tree.tree_flatten(value)
    assert leaves == [1, 2, None, 3] and tree.tree_unflatten(leaves, spec) == value
    assert tree.tree_map_only(int, lambda x: x + 1, value) == {"a": [2, (3, None)], "b": 4}
    assert tree.tree_leaves(value, is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, None), 3]
    assert tree.tree_all(lambda x: x is None or x > 0, value)

    class Box:
        def __init__(self, inside):
            self.inside = inside

    tree.register_pytree_node(Box, lambda b: ((b.inside,), None), lambda c, _: Box(*c))
    assert tree.tree_map(lambda x: x * 2, Box([1, 2])).inside == [2, 4]
    with pytest.raises(ValueError, match="already"):
        tree.register_pytree_node(Box, None, None)


def test_assert_close() -> None:
    close = rl.testing.assert_close
    close({"a": [rl.ones(2), 1.0]}, {"a": [rl.ones(2) + 1e-7, 1.0]})
    close(rl.tensor([float("nan")]), rl.tensor([float("nan")]), equal_nan=True)
    x = rl.arange(6.0).view(2, 3)
    wrong = x.clone()
    wrong[1, 2] += 1
    with pytest.raises(AssertionError, match=r"Mismatched elements: 1 / 6.*\n.*index \(1, 2\)"):
        close(wrong, x)
    with pytest.raises(AssertionError, match="dtype"):
        close(x.double(), x)
    close(x.double(), x, check_dtype=False)
    with pytest.raises(AssertionError, match="shape"):
        close(x, x[0])
    with pytest.raises(AssertionError, match=r"item \[1\]"):
        close([x, wrong], [x, x])
    with pytest.raises(AssertionError, match="mine"):
        close(1.0, 2.0, msg="mine")
    with pytest.raises(ValueError, match="both"):
        close(x, x, rtol=1.0)


def test_make_tensor() -> None:
    make = rl.testing.make_tensor
    x = make(50, 4, dtype=rl.float32, device="cpu", low=2, high=3, requires_grad=True)
    assert x.shape == (50, 4) and x.min().item() >= 2 and x.max().item() <= 3 and x.requires_grad
    assert not make(4, 4, dtype=rl.int32, device="cpu", noncontiguous=True).is_contiguous()
    ints = make((200,), dtype=rl.uint8, device="cpu", exclude_zero=True)
    assert ints.min().item() == 1 and ints.max().item() <= 9
    with pytest.raises(ValueError, match="less than"):
        make(2, dtype=rl.int64, device="cpu", low=3, high=3)


def test_collectives_of_one(group) -> None:
    dist = rl.distributed
    x, kept = rl.ones(3), [rl.zeros(3)]
    assert dist.get_rank() == 0 and dist.get_world_size() == 1 and dist.get_backend() == "gloo"
    assert dist.all_reduce(x) is None and x.tolist() == [1.0] * 3
    work = dist.all_gather(kept, x, async_op=True)
    assert work.wait() and kept[0].tolist() == [1.0] * 3
    objects = [None]
    dist.all_gather_object(objects, {"a": 1})
    assert objects == [{"a": 1}]
    dist.barrier()
    mesh = dist.init_device_mesh("cpu", (1, 1), mesh_dim_names=("data", "model"))
    assert mesh.size() == 1 and mesh["data"].shape == (1,) and mesh.get_group("model") is group
    for wrong in (
        lambda: dist.broadcast(x, src=1),
        lambda: dist.all_gather([], x),
        lambda: dist.send(x, 0),
        lambda: dist.new_group([3]),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_without_a_group() -> None:
    dist = rl.distributed
    assert dist.is_available() and not dist.is_initialized()
    with pytest.raises(ValueError, match="init_process_group"):
        dist.get_rank()
    with pytest.raises(NotImplementedError, match="one process"):
        dist.init_process_group(world_size=2, rank=0)
    assert not dist.is_initialized()


def _model():
    rl.manual_seed(0)
    return rl.nn.Sequential(rl.nn.Linear(3, 4), rl.nn.Tanh(), rl.nn.Linear(4, 1))


def _gradients(wrapped) -> list:
    wrapped(rl.ones(2, 3)).sum().backward()
    return [p.grad.tolist() for p in wrapped.parameters()]


def test_wrappers_train_as_the_module(group) -> None:
    from rushlight.distributed import fsdp
    from rushlight.distributed.algorithms._checkpoint.checkpoint_wrapper import (
        apply_activation_checkpointing,
    )
    from rushlight.distributed.fsdp.wrap import size_based_auto_wrap_policy

    expected, names = _gradients(_model()), list(_model().state_dict())
    parallel = rl.nn.parallel.DistributedDataParallel(_model())
    assert list(parallel.state_dict()) == [f"module.{name}" for name in names]
    again = _model()
    apply_activation_checkpointing(again, check_fn=lambda m: isinstance(m, rl.nn.Linear))
    split = fsdp.FullyShardedDataParallel(
        _model(), auto_wrap_policy=lambda **k: size_based_auto_wrap_policy(**k, min_num_params=1)
    )
    assert len(fsdp.FullyShardedDataParallel.fsdp_modules(split)) == 3
    sharded = fsdp.fully_shard(_model())
    assert isinstance(sharded, fsdp.FSDPModule) and isinstance(sharded, rl.nn.Sequential)
    for made in (again, split, sharded):
        assert list(made.state_dict()) == names
        assert made.load_state_dict(_model().state_dict()).missing_keys == []
    for made in (parallel, again, split, sharded, rl.nn.DataParallel(_model())):
        assert _gradients(made) == expected


def test_split_models_compute_in_another_dtype(group) -> None:
    from rushlight.distributed import fsdp

    precision = fsdp.MixedPrecision(param_dtype=rl.bfloat16)
    wrapped = fsdp.FullyShardedDataParallel(_model(), mixed_precision=precision)
    policy = fsdp.MixedPrecisionPolicy(param_dtype=rl.bfloat16, output_dtype=rl.float32)
    sharded = fsdp.fully_shard(_model(), mp_policy=policy)
    assert (
        wrapped(rl.ones(2, 3)).dtype == rl.bfloat16 and sharded(rl.ones(2, 3)).dtype == rl.float32
    )
    sharded(rl.ones(2, 3)).sum().backward()
    wrapped(rl.ones(2, 3)).sum().backward()
    for made in (wrapped, sharded):
        assert all(p.dtype == p.grad.dtype == rl.float32 for p in made.parameters())


def test_state_dictionaries_by_name(group) -> None:
    from rushlight.distributed.checkpoint import state_dict as states

    parallel = rl.nn.parallel.DistributedDataParallel(_model())
    optimizer = rl.optim.Adam(parallel.parameters())
    _gradients(parallel)
    optimizer.step()
    model_state, optimizer_state = states.get_state_dict(parallel, optimizer)
    assert list(model_state) == list(_model().state_dict()) == list(optimizer_state["state"])
    plain = _model()
    fresh = rl.optim.Adam(plain.parameters())
    states.set_state_dict(
        plain, fresh, model_state_dict=model_state, optim_state_dict=optimizer_state
    )
    assert plain[0].weight.tolist() == parallel.module[0].weight.tolist()
    assert fresh.state_dict()["state"][0]["exp_avg"].shape == (4, 3)
    optimizer_state["param_groups"][0]["params"].remove("2.bias")
    with pytest.raises(KeyError, match=r"2\.bias"):
        states.set_optimizer_state_dict(plain, fresh, optimizer_state)


def test_flex_attention_is_attention() -> None:
    rl.manual_seed(0)
    q, k, v = (rl.randn(2, 4, 5, 8, requires_grad=True) for _ in range(3))
    expected = rl.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, 5, 5, BLOCK_SIZE=2)
    rl.testing.assert_close(flex_attention(q, k, v, block_mask=mask), expected)
    assert mask.to_dense().tolist()[0][0] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    bias = rl.randn(4)
    added = rl.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=bias.view(1, 4, 1, 1) * rl.arange(5.0).view(1, 1, 1, 5)
    )
    made = flex_attention(q, k, v, lambda s, b, h, i, j: s + bias[h] * j)
    rl.testing.assert_close(made, added)
    blind = create_block_mask(lambda b, h, i, j: (i > 0) & (j >= 0), None, None, 5, 5)
    out = flex_attention(q, k, v, block_mask=blind)
    assert out[:, :, 0].abs().max().item() == 0
    out.sum().backward()
    assert q.grad.isfinite().all()


def test_trusted_classes_only(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"box": Box(3), "t": torch.ones(2)}, tmp_path / "box.pt")
    with pytest.raises(rl.serialization.FileFormatError, match="Box"):
        rl.load(tmp_path / "box.pt")
    with rl.serialization.safe_globals([(Box, f"{Box.__module__}.Box")]):
        assert rl.load(tmp_path / "box.pt")["box"].inside == 3
    assert rl.serialization.get_safe_globals() == []


class Box:
    """Something that a file may hold."""

    def __init__(self, inside: int) -> None:
        self.inside = inside


def test_dlpack_shares_memory() -> None:
    x = rl.arange(4.0)
    y = rl.utils.dlpack.from_dlpack(rl.utils.dlpack.to_dlpack(x))
    y[0] = 7
    assert x.tolist() == [7.0, 1.0, 2.0, 3.0]
    array = np.arange(3)
    rl.utils.dlpack.from_dlpack(array)[0] = 5
    assert array.tolist() == [5, 1, 2]
    with pytest.raises(BufferError, match="detach"):
        rl.utils.dlpack.to_dlpack(rl.ones(1, requires_grad=True))


def test_storage_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(8)))
    storage = rl.UntypedStorage.from_file(str(tmp_path / "bytes"), False, 8)
    assert storage[2:5].tolist() == [2, 3, 4] and storage[3] == 3
    with pytest.raises(RuntimeError, match="asked for"):
        rl.UntypedStorage.from_file(str(tmp_path / "bytes"), False, 9)


def test_summary_writer(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from rushlight.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", rl.tensor(0.5), 3)
        writer.add_histogram("weights", rl.arange(10.0), 3)
        writer.add_image("picture", rl.rand(3, 4, 5), 3)
        writer.add_text("note", "hello")
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 0.5)]
    assert events.Histograms("weights")[0].histogram_value.sum == 45
    assert (events.Images("picture")[0].height, events.Images("picture")[0].width) == (4, 5)
