"""The native half of running a program, as LLVM text: a pool of parked workers and a launcher.

Comes in: the clock and processor of this machine. Goes out: one module of LLVM text that exports
`worker_loop(pool, index)` and `run_steps(pool, run)`; no Python object is touched inside it.
Invariants: a task is performed exactly once, by whoever claims it; a step begins after every task
of the step before has ended; every wait spins for at most SPIN_NS and then sleeps; a step's
description is only written while nothing can be claimed.

How claiming works. One 64-bit word holds (generation of the step, next task). Whoever wants work
reads the word, then the number of tasks and the grain, and swaps the word for one with a later
next task. The swap succeeds only if the word is unchanged since it was read, so what was read
between is the description of that very generation. Before the launcher changes a description it
closes the word (next task = CLOSED), hence a worker that was asleep through a whole step cannot
claim with stale numbers. The launcher claims tasks like a worker does: what a descheduled worker
has not begun, it finishes itself.

How sleeping works. A worker counts itself in `sleepers` and then looks at the word once more; the
launcher publishes the word and then looks at `sleepers`; both are sequentially consistent, so one
of them sees the other. pthread mutexes and conditions rather than futexes: the waits are rare, and
this is the form that every POSIX system has.
"""

from __future__ import annotations

import time
from string import Template

SPIN_NS = 150_000
# Native code gives Python the chance to answer Ctrl-C this often.
RETURN_AFTER_NS = 100_000_000
CLOSED = 0xFFFFFFFF

# Byte offsets into the pool. What different threads write lies on different cache lines.
CLAIM = 0
DONE = 64
KERNEL, BUFFERS, SCALARS, STATUS, TASKS, GRAIN = 128, 136, 144, 152, 160, 168
SLEEPERS, LEAVING, LAUNCHER_ASLEEP, BUSY, WORKERS = 192, 200, 208, 256, 264
MUTEX, WORK, FINISHED = 320, 448, 576
COUNTERS, COUNTER_STRIDE = 704, 64

# Byte offsets into a run: one program being run once, see `threads.StepTable`.
RUN_STEPS, RUN_STEP_COUNT, RUN_ARGS, RUN_NEXT_STEP, RUN_NEXT_TASK = 0, 8, 16, 24, 32
RUN_RESOLVED, RUN_POINTERS, RUN_SCALARS, RUN_STATUS = 40, 48, 56, 64
RUN_HEADER = 128
STATUS_WORDS = 8
STEP_COLUMNS = 6

# What run_steps returns.
COMPLETE, PAUSED, FAILED = 0, 1, 2

SYMBOLS = ["prepare_pool", "worker_loop", "run_steps", "dismiss_workers"]

PAUSE_INTRINSIC = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

_POOL = """
$declare_pause
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)

; Called once on zeroed memory, before any worker exists.
define void @prepare_pool(ptr %pool, i64 %workers) {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %count = getelementptr i8, ptr %pool, i64 $WORKERS
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %work = getelementptr i8, ptr %pool, i64 $WORK
  %finished = getelementptr i8, ptr %pool, i64 $FINISHED
  store atomic i64 $CLOSED, ptr %claim seq_cst, align 8
  store i64 %workers, ptr %count
  %m = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %w = call i32 @pthread_cond_init(ptr %work, ptr null)
  %f = call i32 @pthread_cond_init(ptr %finished, ptr null)
  ret void
}

define internal i64 @now() {
  %time = alloca { i64, i64 }
  %r = call i32 @clock_gettime(i32 $CLOCK, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr i8, ptr %time, i64 8
  %nanoseconds = load i64, ptr %rest
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %nanoseconds
  ret i64 %sum
}

; Wait a little (about a microsecond) while the word at %address keeps the value %old, then let
; another runnable thread of this core go first.
define internal void @linger(ptr %address, i64 %old) {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  %value = load atomic i64, ptr %address monotonic, align 8
  %same = icmp eq i64 %value, %old
  br i1 %same, label %again, label %done
again:
  $pause
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, $PAUSES
  br i1 %more, label %look, label %yield
yield:
  %r = call i32 @sched_yield()
  br label %done
done:
  ret void
}

; Claim one chunk and perform it; returns the number of tasks done, 0 when none was to be had.
define internal i64 @work_once(ptr %pool, i64 %index) {
entry:
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %tasks.at = getelementptr i8, ptr %pool, i64 $TASKS
  %grain.at = getelementptr i8, ptr %pool, i64 $GRAIN
  br label %look
look:
  %word = load atomic i64, ptr %claim acquire, align 8
  %begin = and i64 %word, 4294967295
  %tasks = load atomic i64, ptr %tasks.at monotonic, align 8
  %grain = load atomic i64, ptr %grain.at monotonic, align 8
  %open = icmp ult i64 %begin, %tasks
  br i1 %open, label %take, label %none
take:
  %wished = add i64 %begin, %grain
  %over = icmp ugt i64 %wished, %tasks
  %end = select i1 %over, i64 %tasks, i64 %wished
  %count = sub i64 %end, %begin
  %taken = add i64 %word, %count
  %swap = cmpxchg ptr %claim, i64 %word, i64 %taken seq_cst seq_cst
  %won = extractvalue { i64, i1 } %swap, 1
  br i1 %won, label %perform, label %look
perform:
  %kernel.at = getelementptr i8, ptr %pool, i64 $KERNEL
  %buffers.at = getelementptr i8, ptr %pool, i64 $BUFFERS
  %scalars.at = getelementptr i8, ptr %pool, i64 $SCALARS
  %status.at = getelementptr i8, ptr %pool, i64 $STATUS
  %kernel = load ptr, ptr %kernel.at
  %buffers = load ptr, ptr %buffers.at
  %scalars = load ptr, ptr %scalars.at
  %status = load ptr, ptr %status.at
  call void %kernel(ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end)
  %line = mul i64 %index, $COUNTER_STRIDE
  %counters = getelementptr i8, ptr %pool, i64 $COUNTERS
  %counter = getelementptr i8, ptr %counters, i64 %line
  %before = load i64, ptr %counter
  %after = add i64 %before, %count
  store i64 %after, ptr %counter
  %done = getelementptr i8, ptr %pool, i64 $DONE
  %sum = atomicrmw add ptr %done, i64 %count seq_cst
  ret i64 %count
none:
  ret i64 0
}

; True when a chunk can be claimed or the pool is being dismissed.
define internal i1 @wanted(ptr %pool) {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %leaving.at = getelementptr i8, ptr %pool, i64 $LEAVING
  %tasks.at = getelementptr i8, ptr %pool, i64 $TASKS
  %word = load atomic i64, ptr %claim seq_cst, align 8
  %begin = and i64 %word, 4294967295
  %tasks = load atomic i64, ptr %tasks.at monotonic, align 8
  %leaving = load atomic i64, ptr %leaving.at seq_cst, align 8
  %open = icmp ult i64 %begin, %tasks
  %left = icmp ne i64 %leaving, 0
  %either = or i1 %open, %left
  ret i1 %either
}

; Sleep until there is something to do.
define internal void @park(ptr %pool) {
entry:
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %work = getelementptr i8, ptr %pool, i64 $WORK
  %sleepers = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s = atomicrmw add ptr %sleepers, i64 1 seq_cst
  br label %look
look:
  %wanted = call i1 @wanted(ptr %pool)
  br i1 %wanted, label %up, label %sleep
sleep:
  %w = call i32 @pthread_cond_wait(ptr %work, ptr %mutex)
  br label %look
up:
  %t = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

; The launcher may have fallen asleep waiting for the chunk that was just finished.
define internal void @report(ptr %pool) {
entry:
  %asleep.at = getelementptr i8, ptr %pool, i64 $LAUNCHER_ASLEEP
  %asleep = load atomic i64, ptr %asleep.at seq_cst, align 8
  %awake = icmp eq i64 %asleep, 0
  br i1 %awake, label %done, label %tell
tell:
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %finished = getelementptr i8, ptr %pool, i64 $FINISHED
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s = call i32 @pthread_cond_signal(ptr %finished)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %done
done:
  ret void
}

; The life of a worker; returns when the pool is dismissed.
define void @worker_loop(ptr %pool, i64 %index) {
entry:
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %leaving.at = getelementptr i8, ptr %pool, i64 $LEAVING
  br label %idle
idle:
  %since = call i64 @now()
  br label %look
look:
  %leaving = load atomic i64, ptr %leaving.at acquire, align 8
  %left = icmp ne i64 %leaving, 0
  br i1 %left, label %leave, label %try
try:
  %word = load atomic i64, ptr %claim monotonic, align 8
  %count = call i64 @work_once(ptr %pool, i64 %index)
  %worked = icmp ne i64 %count, 0
  br i1 %worked, label %told, label %spin
told:
  call void @report(ptr %pool)
  br label %idle
spin:
  call void @linger(ptr %claim, i64 %word)
  %time = call i64 @now()
  %waited = sub i64 %time, %since
  %patient = icmp ult i64 %waited, $SPIN_NS
  br i1 %patient, label %look, label %sleep
sleep:
  call void @park(ptr %pool)
  br label %idle
leave:
  ret void
}

; Tell every worker to leave; a program that is running goes on without them.
define void @dismiss_workers(ptr %pool) {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %work = getelementptr i8, ptr %pool, i64 $WORK
  %leaving = getelementptr i8, ptr %pool, i64 $LEAVING
  store atomic i64 1, ptr %leaving seq_cst, align 8
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_broadcast(ptr %work)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}
"""

_LAUNCHER = """
; Wake as many sleeping workers as %chunks has use for beside the launcher and those awake.
define internal void @wake(ptr %pool, i64 %chunks) {
entry:
  %sleepers.at = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %workers.at = getelementptr i8, ptr %pool, i64 $WORKERS
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %workers = load i64, ptr %workers.at
  %awake = sub i64 %workers, %sleepers
  %others = sub i64 %chunks, 1
  %useful = sub i64 %others, %awake
  %few = icmp slt i64 %useful, %sleepers
  %count = select i1 %few, i64 %useful, i64 %sleepers
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %settle, label %done
settle:
  ; Whoever counted itself among the sleepers holds the mutex until it really waits.
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %work = getelementptr i8, ptr %pool, i64 $WORK
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %signal
signal:
  %left = phi i64 [ %count, %settle ], [ %rest, %signal ]
  %s = call i32 @pthread_cond_signal(ptr %work)
  %rest = sub i64 %left, 1
  %more = icmp ne i64 %rest, 0
  br i1 %more, label %signal, label %done
done:
  ret void
}

; Wait until %goal tasks of the closed step are done.
define internal void @wait_done(ptr %pool, i64 %goal) {
entry:
  %done.at = getelementptr i8, ptr %pool, i64 $DONE
  %first = load atomic i64, ptr %done.at acquire, align 8
  %already = icmp eq i64 %first, %goal
  br i1 %already, label %over, label %begin
begin:
  %since = call i64 @now()
  br label %spin
spin:
  %value = load atomic i64, ptr %done.at acquire, align 8
  %reached = icmp eq i64 %value, %goal
  br i1 %reached, label %over, label %wait
wait:
  call void @linger(ptr %done.at, i64 %value)
  %time = call i64 @now()
  %waited = sub i64 %time, %since
  %patient = icmp ult i64 %waited, $SPIN_NS
  br i1 %patient, label %spin, label %sleep
sleep:
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %finished = getelementptr i8, ptr %pool, i64 $FINISHED
  %asleep.at = getelementptr i8, ptr %pool, i64 $LAUNCHER_ASLEEP
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %asleep.at seq_cst, align 8
  br label %look
look:
  %now = load atomic i64, ptr %done.at seq_cst, align 8
  %complete = icmp eq i64 %now, %goal
  br i1 %complete, label %up, label %doze
doze:
  %w = call i32 @pthread_cond_wait(ptr %finished, ptr %mutex)
  br label %look
up:
  store atomic i64 0, ptr %asleep.at seq_cst, align 8
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %over
over:
  ret void
}

; Tasks %begin.. of a step together with the workers; returns the first task not performed, which
; is %tasks unless the deadline passed.
define internal i64 @run_together(ptr %pool, ptr %kernel, ptr %buffers, ptr %scalars, ptr %status,
                                  i64 %begin, i64 %tasks, i64 %grain, i64 %deadline) {
entry:
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %done = getelementptr i8, ptr %pool, i64 $DONE
  %kernel.at = getelementptr i8, ptr %pool, i64 $KERNEL
  %buffers.at = getelementptr i8, ptr %pool, i64 $BUFFERS
  %scalars.at = getelementptr i8, ptr %pool, i64 $SCALARS
  %status.at = getelementptr i8, ptr %pool, i64 $STATUS
  %tasks.at = getelementptr i8, ptr %pool, i64 $TASKS
  %grain.at = getelementptr i8, ptr %pool, i64 $GRAIN
  store ptr %kernel, ptr %kernel.at
  store ptr %buffers, ptr %buffers.at
  store ptr %scalars, ptr %scalars.at
  store ptr %status, ptr %status.at
  store atomic i64 %tasks, ptr %tasks.at monotonic, align 8
  store atomic i64 %grain, ptr %grain.at monotonic, align 8
  store atomic i64 0, ptr %done monotonic, align 8
  %last = load atomic i64, ptr %claim monotonic, align 8
  %generation = lshr i64 %last, 32
  %next.generation = add i64 %generation, 1
  %open = shl i64 %next.generation, 32
  %word = or i64 %open, %begin
  store atomic i64 %word, ptr %claim seq_cst, align 8
  %todo = sub i64 %tasks, %begin
  %less = sub i64 %grain, 1
  %padded = add i64 %todo, %less
  %chunks = udiv i64 %padded, %grain
  call void @wake(ptr %pool, i64 %chunks)
  br label %work
work:
  %count = call i64 @work_once(ptr %pool, i64 0)
  %worked = icmp ne i64 %count, 0
  br i1 %worked, label %check, label %close
check:
  %time = call i64 @now()
  %early = icmp slt i64 %time, %deadline
  br i1 %early, label %work, label %close
close:
  %shut = or i64 %open, $CLOSED
  %final = atomicrmw xchg ptr %claim, i64 %shut seq_cst
  %reached = and i64 %final, 4294967295
  %performed = sub i64 %reached, %begin
  call void @wait_done(ptr %pool, i64 %performed)
  ret i64 %reached
}

; The same on the calling thread only.
define internal i64 @run_alone(ptr %kernel, ptr %buffers, ptr %scalars, ptr %status,
                               i64 %begin, i64 %tasks, i64 %grain, i64 %deadline) {
entry:
  br label %chunk
chunk:
  %from = phi i64 [ %begin, %entry ], [ %to, %check ]
  %wished = add i64 %from, %grain
  %over = icmp ugt i64 %wished, %tasks
  %to = select i1 %over, i64 %tasks, i64 %wished
  call void %kernel(ptr %buffers, ptr %scalars, ptr %status, i64 %from, i64 %to)
  %more = icmp ult i64 %to, %tasks
  br i1 %more, label %check, label %done
check:
  %time = call i64 @now()
  %early = icmp slt i64 %time, %deadline
  br i1 %early, label %chunk, label %done
done:
  ret i64 %to
}

; resolved[first + i] = pointers[slot of arg i] + offset of arg i
define internal ptr @resolve(ptr %run, i64 %first, i64 %count) {
entry:
  %args.at = getelementptr i8, ptr %run, i64 $RUN_ARGS
  %resolved.at = getelementptr i8, ptr %run, i64 $RUN_RESOLVED
  %pointers.at = getelementptr i8, ptr %run, i64 $RUN_POINTERS
  %args = load ptr, ptr %args.at
  %resolved = load ptr, ptr %resolved.at
  %pointers = load ptr, ptr %pointers.at
  %target = getelementptr ptr, ptr %resolved, i64 %first
  %source = getelementptr { i64, i64 }, ptr %args, i64 %first
  %any = icmp ne i64 %count, 0
  br i1 %any, label %arg, label %done
arg:
  %i = phi i64 [ 0, %entry ], [ %next, %arg ]
  %slot.at = getelementptr { i64, i64 }, ptr %source, i64 %i, i32 0
  %offset.at = getelementptr { i64, i64 }, ptr %source, i64 %i, i32 1
  %slot = load i64, ptr %slot.at
  %offset = load i64, ptr %offset.at
  %base.at = getelementptr ptr, ptr %pointers, i64 %slot
  %base = load ptr, ptr %base.at
  %address = getelementptr i8, ptr %base, i64 %offset
  %to = getelementptr ptr, ptr %target, i64 %i
  store ptr %address, ptr %to
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %arg, label %done
done:
  ret ptr %target
}

; One step of a run from task %begin; %pool is null when this thread works alone.
define internal i64 @run_step(ptr %pool, ptr %run, i64 %step, i64 %begin, i64 %deadline) {
entry:
  %steps.at = getelementptr i8, ptr %run, i64 $RUN_STEPS
  %scalars.at = getelementptr i8, ptr %run, i64 $RUN_SCALARS
  %status = getelementptr i8, ptr %run, i64 $RUN_STATUS
  %steps = load ptr, ptr %steps.at
  %all.scalars = load ptr, ptr %scalars.at
  %row = getelementptr [$STEP_COLUMNS x i64], ptr %steps, i64 %step
  %first.at = getelementptr i64, ptr %row, i64 1
  %count.at = getelementptr i64, ptr %row, i64 2
  %tasks.at = getelementptr i64, ptr %row, i64 3
  %grain.at = getelementptr i64, ptr %row, i64 4
  %scalar.at = getelementptr i64, ptr %row, i64 5
  %kernel = load ptr, ptr %row
  %first = load i64, ptr %first.at
  %count = load i64, ptr %count.at
  %tasks = load i64, ptr %tasks.at
  %grain = load i64, ptr %grain.at
  %scalar = load i64, ptr %scalar.at
  %scalars = getelementptr i64, ptr %all.scalars, i64 %scalar
  %buffers = call ptr @resolve(ptr %run, i64 %first, i64 %count)
  %todo = sub i64 %tasks, %begin
  %single = icmp ule i64 %todo, %grain
  %unshared = icmp eq ptr %pool, null
  %serial = or i1 %single, %unshared
  br i1 %serial, label %alone, label %together
alone:
  %a = call i64 @run_alone(ptr %kernel, ptr %buffers, ptr %scalars, ptr %status,
                           i64 %begin, i64 %tasks, i64 %grain, i64 %deadline)
  br label %done
together:
  %b = call i64 @run_together(ptr %pool, ptr %kernel, ptr %buffers, ptr %scalars, ptr %status,
                              i64 %begin, i64 %tasks, i64 %grain, i64 %deadline)
  br label %done
done:
  %reached = phi i64 [ %a, %alone ], [ %b, %together ]
  %whole = icmp eq i64 %reached, %tasks
  %next = select i1 %whole, i64 0, i64 %reached
  ret i64 %next
}

; Steps of a run from where it stands, until it is complete, failed, or Python's turn has come.
define internal i64 @walk(ptr %pool, ptr %run) {
entry:
  %count.at = getelementptr i8, ptr %run, i64 $RUN_STEP_COUNT
  %step.at = getelementptr i8, ptr %run, i64 $RUN_NEXT_STEP
  %task.at = getelementptr i8, ptr %run, i64 $RUN_NEXT_TASK
  %status = getelementptr i8, ptr %run, i64 $RUN_STATUS
  %count = load i64, ptr %count.at
  %started = call i64 @now()
  %deadline = add i64 %started, $RETURN_AFTER_NS
  br label %look
look:
  %step = load i64, ptr %step.at
  %more = icmp ult i64 %step, %count
  br i1 %more, label %run.it, label %complete
run.it:
  %begin = load i64, ptr %task.at
  %next = call i64 @run_step(ptr %pool, ptr %run, i64 %step, i64 %begin, i64 %deadline)
  store i64 %next, ptr %task.at
  %code = load atomic i64, ptr %status acquire, align 8
  %bad = icmp ne i64 %code, 0
  br i1 %bad, label %failed, label %good
good:
  %partial = icmp ne i64 %next, 0
  br i1 %partial, label %paused, label %advance
advance:
  %following = add i64 %step, 1
  store i64 %following, ptr %step.at
  %time = call i64 @now()
  %early = icmp slt i64 %time, %deadline
  br i1 %early, label %look, label %paused
paused:
  ret i64 $PAUSED
failed:
  ret i64 $FAILED
complete:
  store i64 0, ptr %step.at
  ret i64 $COMPLETE
}

; A pool serves one run at a time; a second caller performs its own steps by itself meanwhile.
define i64 @run_steps(ptr %pool, ptr %run) {
entry:
  %none = icmp eq ptr %pool, null
  br i1 %none, label %alone, label %ask
ask:
  %busy = getelementptr i8, ptr %pool, i64 $BUSY
  %swap = cmpxchg ptr %busy, i64 0, i64 1 seq_cst seq_cst
  %won = extractvalue { i64, i1 } %swap, 1
  br i1 %won, label %together, label %alone
together:
  %a = call i64 @walk(ptr %pool, ptr %run)
  store atomic i64 0, ptr %busy seq_cst, align 8
  ret i64 %a
alone:
  %b = call i64 @walk(ptr null, ptr %run)
  ret i64 %b
}
"""


def runtime_text(processor: str) -> str:
    """The module for a processor family (`x86_64`, `aarch64`; on others waiting does not pause)."""
    declare_pause, pause = PAUSE_INTRINSIC.get(processor, ("", ""))
    offsets = {name: value for name, value in globals().items() if isinstance(value, int)}
    return Template(_POOL + _LAUNCHER).substitute(
        offsets,
        CLOCK=time.CLOCK_MONOTONIC,
        PAUSES=32,
        declare_pause=declare_pause,
        pause=pause,
    )


def pool_bytes(workers: int) -> int:
    """Size of a pool's memory: the shared words and one counter line per thread."""
    return COUNTERS + COUNTER_STRIDE * (workers + 1)
