import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed.algorithms.join import Join, Joinable, JoinHook


class Counter(Joinable):
    """Adds up, over all processes, how many inputs were seen."""

    def __init__(self):
        super().__init__()
        self.seen = 0
        self.last = None

    def __call__(self):
        Join.notify_join_context(self)
        self.exchange(1)

    def exchange(self, n):
        t = fb.tensor([float(n)])
        dist.all_reduce(t)
        self.seen += int(t.item())

    def join_hook(self, **kwargs):
        counter = self

        class Hook(JoinHook):
            def main_hook(self):
                counter.exchange(0)

            def post_hook(self, is_last_joiner):
                counter.last = is_last_joiner, kwargs

        return Hook()

    @property
    def join_device(self):
        return fb.device("cpu")

    @property
    def join_process_group(self):
        return dist.group.WORLD


def uneven(rank, size):
    counter = Counter()
    with Join([counter], tag=3):
        for _ in range(2 + 3 * rank):
            counter()
    return counter.seen, counter.last


def test_the_process_that_is_done_shadows_the_other(together):
    assert together(uneven) == [(7, (False, {"tag": 3})), (7, (True, {"tag": 3}))]


def stopping(rank, size):
    counter = Counter()
    try:
        with Join([counter], throw_on_early_termination=True):
            for _ in range(2 + rank):
                counter()
    except RuntimeError as error:
        return counter.seen, str(error)


def test_all_stop_with_the_first(together):
    assert together(stopping) == [
        (4, "Rank 0 exhausted all inputs."),
        (4, "Detected at least one rank that exhausted inputs. Throwing across all ranks."),
    ]


def test_nothing_to_join():
    with pytest.raises(ValueError, match="requires at least one joinable"):
        Join([])
