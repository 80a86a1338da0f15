"""Do the same for many, on all cores of this machine."""

import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

import torch

_Made = TypeVar("_Made")
# Fewer are done sooner than processes are forked for them, where each takes a second or so.
_FEW = 4
# A process that says nothing for so long has met what forking can do to it: others' work is then done here.
_PATIENCE_S = 300.0


def side_by_side(make: Callable[[int], _Made], count: int, few: int = _FEW) -> list[_Made]:
    """`[make(0), ..., make(count - 1)]`, made in forked processes where there are cores for them, and no `few`er.

    `make` may read all that this process holds, and what it changes there is lost; what it returns is pickled. Whatever
    a process failed at is made once more in this one, which raises what there is to raise.
    """
    workers = min(_cores(), count)
    found = _forked(make, count, workers) if workers > 1 and count >= few else {}
    return [found[index] if index in found else make(index) for index in range(count)]


def _cores() -> int:
    """Of which processes can be forked: on Linux alone, other systems' libraries forbid it."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _forked(make: Callable[[int], _Made], count: int, workers: int) -> dict[int, _Made]:
    context = multiprocessing.get_context("fork")
    gc.collect()  # garbage may have threads, which are not in the other process: its destructor would wait for them
    found: dict[int, _Made] = {}
    started: list[BaseProcess] = []
    heard: list[Connection] = []
    try:
        for first in range(workers):
            listening, telling = context.Pipe(duplex=False)
            work = make, range(first, count, workers), telling, [*heard, listening]
            process = context.Process(target=_work, args=work, daemon=True)
            try:
                process.start()
            except OSError:  # no more processes, or no memory for one
                listening.close()
                break
            finally:
                telling.close()  # before the next is forked: when its process ends, the pipe does
            started.append(process)
            heard.append(listening)
        while heard and (ready := wait(heard, _PATIENCE_S)):
            for each in [each for each in heard if each in ready]:
                try:
                    index, made = each.recv()
                except (EOFError, OSError, pickle.UnpicklingError):  # it is done, or was killed as it spoke
                    heard.remove(each)
                else:
                    found[index] = made
    finally:
        for worker in started:
            worker.terminate()
            worker.join()
    return found


def _work(make: Callable[[int], _Made], indices: range, telling: Connection, others: list[Connection]) -> None:
    """In a process of its own, on one thread: those that torch had are not in it."""
    for each in others:
        each.close()  # or it would listen to itself, and never find that nobody else does
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is interrupted ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    for index in indices:
        try:
            telling.send((index, make(index)))
        except OSError:
            return  # nobody listens any more
        except Exception:
            continue  # it is made again, and raises, where somebody hears it
