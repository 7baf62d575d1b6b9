"""Signals of a scheduler and a time limit: raised where a run is, held back by a training until it has saved."""

import os
import signal
import time

import pytest

from gan.training.loop import train
from gan.training.stopping import SIGNALS, Interruption, Reserve, Stopped, StopRequest, kept_of
from gan.training.trained import load

TRAINING = {"steps": 40, "log_every": 5, "checkpoint_every": 40, "validation_samples": 8}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_at_once_and_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"stopped by {number.name}"), StopRequest() as stop:
        try:
            signal.raise_signal(number)
        finally:
            # Schedulers repeat themselves; what ends is not disturbed.
            signal.raise_signal(signal.SIGTERM)
    assert stop.reason == f"by {number.name}"
    assert signal.getsignal(number) is before


def test_a_time_limit_is_raised_before_it_is_over():
    began = time.monotonic()
    with pytest.raises(Stopped, match="before its time limit is over"), StopRequest(limit=0.5):
        while time.monotonic() < began + 5:
            time.sleep(0.01)
    assert time.monotonic() - began < 0.5
    # Nor does the timer outlive its context.
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


class Collected:
    """Sends a signal when it is collected, where Python drops whatever a signal's handler raises."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_a_callback_loses_is_raised_again_and_cleaning_up_is_left_alone():
    lost = cleaned = False
    with pytest.raises(Stopped, match="stopped by SIGTERM"), StopRequest():
        Collected()
        lost = True
        try:
            time.sleep(5)
        finally:
            # Longer than the time after which it is raised again.
            time.sleep(0.7)
            cleaned = True
    assert lost and cleaned


def test_no_error_handler_takes_a_stop_for_an_error():
    with pytest.raises(Stopped), StopRequest() as stop:
        try:
            stop.ask("by the test")
        except Exception:
            pytest.fail("taken for an error")


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)])
def test_what_comes_after_the_last_look_is_raised_at_the_end(number, kind):
    passed = False
    with StopRequest() as stop, pytest.raises(kind), Interruption(stop) as asked:
        assert not asked.requested(Reserve())
        signal.raise_signal(number)
        passed = True
    assert passed and asked.requested(Reserve())


def test_an_error_is_not_replaced_by_a_stop():
    with StopRequest() as stop, pytest.raises(ZeroDivisionError), Interruption(stop):
        signal.raise_signal(signal.SIGTERM)
        raise ZeroDivisionError


def test_the_reserve_is_the_longest_block_and_save_so_far():
    reserve = Reserve()
    # The first block is made in any case.
    assert reserve.seconds == 0.0
    reserve.block(20.0)
    assert reserve.seconds == 1.5 * (20 + 20) + 3
    for seconds in (2.0, 3.0, 1.0):
        reserve.block(seconds)
    assert reserve.seconds == 1.5 * (3 + 20) + 3
    for seconds in (4.0, 7.0, 5.0):
        reserve.save(seconds)
    assert reserve.seconds == 1.5 * (3 + 7) + 3


def test_a_share_of_the_limit_is_kept_to_end():
    assert [kept_of(limit) for limit in (2.0, 20.0, 600.0, 1e5)] == [1.0, 3.0, 30.0, 60.0]


class Clock(StopRequest):
    """A limit that is far until a training says otherwise."""

    remaining = 3600.0

    @property
    def left(self):
        return self.remaining


def test_a_training_saves_and_stops_while_its_limit_leaves_the_reserve(toy, tmp_path):
    stop = Clock(limit=3600.0)

    def spend(step, total, line):
        if step == 20:
            stop.remaining = 2.0

    with pytest.raises(Stopped, match="before its time limit is over"):
        train(toy.problem(), toy.recipe(training=TRAINING), tmp_path, progress=spend, stop=stop)
    assert load(tmp_path, solver_layer=toy.decay).step == 21
    # However short the limit is, a block is made: resumed often enough, the training ends.
    stop = Clock(limit=1.0)
    stop.remaining = -5.0
    with pytest.raises(Stopped):
        train(toy.problem(), toy.recipe(training=TRAINING), tmp_path, resume=True, stop=stop)
    assert load(tmp_path, solver_layer=toy.decay).step > 21


def test_a_training_saves_before_it_stops_by_a_signal(toy, tmp_path):
    def tell(step, total, line):
        if step == 10:
            os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(Stopped, match="stopped by SIGUSR1"), StopRequest() as stop:
        train(toy.problem(), toy.recipe(training=TRAINING), tmp_path, progress=tell, stop=stop)
    assert load(tmp_path, solver_layer=toy.decay).step == 11
    whole = train(toy.problem(), toy.recipe(training=TRAINING), tmp_path, resume=True)
    assert whole.step == 40
