"""No call may end the process, hang, or fail with what says nothing to whoever made it.

Calls are made in child processes with a limit of memory; calls.py says which, supervisor.py what is
wrong with an ending. A fault is reported as the smallest call that shows it.
"""

from __future__ import annotations

import os

import pytest
from robustness import calls, supervisor
from robustness.calls import Call, sampled, systematic, targets, usual_calls
from robustness.supervisor import Fault, faults, smallest, wrong

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of memory are POSIX's")
# The size and the arguments that PyTorch's own reports of crashes are made of.
CHOSEN = """
    torch.zeros(2**63-1) | torch.zeros((2**31,2**31)) | torch.zeros((2**62,4)) | torch.zeros(-1)
    torch.empty((2**31,2**31,2**31)) | torch.full((2**40,),1.0) | torch.eye(2**31) | torch.eye(-1)
    torch.arange(2**62) | torch.arange(0,1,1e-18) | torch.arange(nan) | torch.arange(0,inf)
    torch.linspace(0,1,2**40) | torch.linspace(0,1,-1) | torch.randperm(2**40) | torch.randperm(-1)
    torch.ones(3).repeat(2**40) | torch.ones(3).repeat(2**62,2**62) | torch.ones(3).repeat(-1)
    torch.ones(3).expand(2**62,3).shape | torch.ones(3).expand(-1,-1,3) | torch.tile(a(3),(2**62,))
    a(3).as_strided((2**62,),(1,)) | a(3).as_strided((2,),(2**62,)) | a(3).as_strided((2,),(-1,))
    a(3).as_strided((2,),(1,),2**62) | a(3).as_strided((4,),(1,))
    a(3).as_strided((2**31,2**31),(2**31,2**31)) | a(3,4).reshape(2**62,4) | a(3,4).view(-1,0)
    a(3,4).reshape(2**63,1) | a(0).reshape(-1,0) | a(3,4).unfold(0,2**62,1) | a(3).unfold(0,1,0)
    a(3).unfold(0,-1,1) | torch.nn.functional.unfold(a(1,1,4,4),9) | torch.cat([a(2,3),a(3,2)])
    torch.nn.functional.max_pool2d(a(1,1,4,4),2,padding=9) | torch.cat([]) | torch.stack([])
    torch.nn.functional.max_pool2d(a(1,1,4,4),2**62) | torch.cat([a(2),a(2,dtype='bool')],7)
    torch.nn.functional.max_pool2d(a(1,1,4,4),0) | torch.nn.functional.avg_pool2d(a(1,1,4,4),2,0)
    torch.nn.functional.avg_pool2d(a(1,1,4,4),2,-1)
    torch.nn.functional.conv2d(a(1,1,4,4),a(1,1,9,9))
    torch.nn.functional.conv2d(a(1,1,4,4),a(1,1,3,3),padding=2**31)
    torch.nn.functional.conv2d(a(1,1,4,4),a(1,1,3,3),stride=0)
    torch.nn.functional.conv2d(a(1,1,4,4),a(1,1,3,3),dilation=2**62)
    torch.nn.functional.conv2d(a(1,1,4,4),a(1,1,3,3),groups=0)
    torch.nn.functional.conv2d(a(1,1,4,4),a(0,1,3,3)) | torch.nn.functional.pad(a(3),(2**62,2**62))
    torch.nn.functional.conv_transpose2d(a(1,1,3,3),a(1,1,3,3),stride=2**31)
    torch.nn.functional.pad(a(3),(-9,0)) | torch.nn.functional.pad(a(3),(1,)) | a(3)[2**62]
    a(3)[7] | a(3)[torch.tensor([-4])] | a(3)[torch.tensor([3])] | a(3)[torch.tensor([2**62])]
    a(3)[nan] | a(3)[torch.tensor([nan])] | a(3).gather(0,torch.tensor([9]))
    a(3).take(torch.tensor([-9])) | a(3).index_select(0,torch.tensor([-1]))
    a(3).scatter(0,torch.tensor([5]),1.0) | torch.nn.functional.embedding(torch.tensor([9]),a(3,2))
    torch.bincount(torch.tensor([-1])) | torch.nn.functional.one_hot(torch.tensor([2**40]))
    torch.bincount(torch.tensor([2**40]))
    torch.nn.functional.nll_loss(a(3,4),torch.tensor([0,9,1])) | torch.tensor(deep(100))
    torch.nn.functional.cross_entropy(a(3,4),torch.tensor([0,-7,1])) | torch.tensor([[1,2],[3]])
    torch.tensor(object()) | torch.tensor('text') | torch.tensor([None]) | torch.tensor(2**70)
    torch.multinomial(a(3),2**40) | torch.repeat_interleave(a(3),torch.tensor([2**40,1,1]))
    torch.repeat_interleave(a(3),torch.tensor([-1,1,1])) | torch.combinations(a(9),2**31)
    torch.linalg.matrix_power(a(3,3),2**62) | torch.fft.fft(a(3),2**62) | torch.fft.rfftfreq(2**62)
    torch.kron(a(1).expand(2**31),a(1).expand(2**31)) | torch.outer(a(9),a(1).expand(2**31))
    a(1).expand(2**31).nonzero() | a(1).expand(2**31).sort() | a(1).expand(2**31).tolist()
    torch.cdist(a(1,1).expand(2**20,1),a(1,1).expand(2**20,1)) | a(2,3)@a(2,3) | a(3).sum(5)
    torch.histc(a(3),2**40) | torch.hann_window(2**40) | torch.vander(a(3),2**40) | a(3).sum(-2)
    torch.nn.functional.interpolate(a(1,1,2,2),scale_factor=1e12) | torch.tensor([1])<<2**40
    torch.nn.functional.interpolate(a(1,1,2,2),size=(2**31,2**31)) | torch.tensor([1])//0
    a(3)[::-1] | torch.nn.functional.adaptive_avg_pool2d(a(1,1,2,2),2**31) | torch.tensor([1])%0
    a(3)[:,:,:] | torch.ones(3).to('cuda') | torch.ones(3,device='nowhere')
    torch.ones(3,dtype='float') | a(3)/'a'
"""
ENDED = [text.strip() for line in CHOSEN.splitlines() for text in line.split("|") if text.strip()]


def report(found: list[Fault]) -> str:
    everything = targets()
    small = [smallest(f, usual_calls(f.call.target, everything[f.call.target])) for f in found]
    return f"{len(small)} faults:\n" + "\n".join(map(str, small))


def test_chosen_calls_end_well() -> None:
    found = faults([calls.Written(text) for text in ENDED])
    assert not found, "\n".join(map(str, found))


def test_a_sample_of_all_functions_ends_well(seed_base: int) -> None:
    found = faults(sampled(seed_base, 150))
    assert not found, report(found)


@pytest.mark.nightly
@pytest.mark.parametrize("letter", "abcdefghijklmnopqrstuvwxyz")
def test_every_argument_of_every_function(letter: str) -> None:
    """Each argument replaced by each value of the tables."""
    found = []
    for target, function in targets().items():
        if target.rsplit(".", 1)[1].startswith(letter):
            found += faults(systematic(target, function))
    assert not found, report(found)


# --- the harness itself ---------------------------------------------------------------------------


def test_a_crash_a_hang_and_an_accident_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SECONDS", 5.0)
    bad = ["{}['key']", "__import__('time').sleep(60)", "[].nothing", "1+1", "[1][2]"]
    reasons = [(str(f.call), f.reason.split()[0]) for f in faults(map(calls.Written, bad))]
    assert reasons == [
        ("{}['key']", "KeyError,LookupError,Exception"),
        ("__import__('time').sleep(60)", "hang"),
        ("[].nothing", "AttributeError,Exception"),
    ]
    (crash,) = faults([calls.Written("__import__('os').abort()")])
    assert crash.reason == "crash exit status -6"


def test_what_counts_as_wrong() -> None:
    call = Call("torch.add", ("1",))
    assert wrong(call, "ok") is None
    assert (
        wrong(call, "OutOfMemoryError,RushlightError,RuntimeError,MemoryError,Exception ''") is None
    )
    assert wrong(call, "KeyError,LookupError,Exception ''") is not None
    assert wrong(call, "InternalError,RushlightError,RuntimeError,Exception ''") is not None
    assert wrong(call, "AttributeError,Exception ''") is not None
    assert wrong(Call("torch.nn.functional.glu", ()), "AttributeError,Exception ''") is None


def test_the_smallest_call_is_looked_for() -> None:
    usual = [Call("torch.add", ("a(3,4)", "a(3,4)"))]
    wide = Call("torch.add", ("a(2,3)", "[].nothing"))
    found = smallest(Fault(wide, "AttributeError"), usual)
    assert str(found.call) == "torch.add(a(3,4), [].nothing)"


def test_the_same_seed_gives_the_same_calls() -> None:
    assert sampled(3, 40) == sampled(3, 40) != sampled(4, 40)
    assert len(targets()) > 700
