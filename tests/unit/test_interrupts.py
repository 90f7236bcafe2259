"""Signals that come while something ends wait until it has."""

import signal

import pytest

from labsupport.process.interrupts import INTERRUPTS, interrupts_later


@pytest.mark.parametrize("number", INTERRUPTS)
def test_a_block_is_finished_before_a_signal_that_came_in_it_is_felt(number: signal.Signals) -> None:
    earlier = signal.signal(number, signal.default_int_handler)
    finished = False
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_later():
            signal.raise_signal(number)
            signal.raise_signal(number)
            finished = True
        assert finished
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, earlier)


def test_without_a_signal_it_is_as_if_nothing_had_been() -> None:
    with interrupts_later():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_ignored_stays_ignored() -> None:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_later():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, earlier)
