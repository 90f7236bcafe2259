"""A room of learners on one computer: ten labs at the same time, the same names and ports in each, none in the way."""

import shlex
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from urllib.request import urlopen

import pytest

from labsupport.process.waiting import wait_until
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.images import Images
from tests.engines import machine, toolchain, tools

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(400)]

LEARNERS = 10
SERVE = "echo this is {} >/kept/index.html; exec httpd -f -p 80 -h /kept"
RUN = "docker run --detach --name page --publish 8080:80 --volume kept:/kept lab/toolbox sh -c"


def learn(number: int, all_up: Barrier) -> tuple[str, str]:
    """Be one of them: serve a page of one's own, read it when everybody has; return the lab's address and the page."""
    with machine() as own:
        engine = start_private_engine(own, tools())
        Images(engine, toolchain()).ensure("lab/toolbox")
        engine.runner.run([*shlex.split(RUN), SERVE.format(number)]).or_raise()
        all_up.wait(200)
        page = wait_until(partial(_read, f"http://{own.address}:8080/"), "the page", within_seconds=60)
        all_up.wait(200)
        engine.close()
        return own.address, page


def test_ten_labs_with_the_same_names_and_ports_are_not_in_each_others_way() -> None:
    all_up = Barrier(LEARNERS)
    with ThreadPoolExecutor(LEARNERS) as pool:
        seen = list(pool.map(lambda number: learn(number, all_up), range(LEARNERS)))
    assert [page for _, page in seen] == [f"this is {number}\n" for number in range(LEARNERS)]
    assert len({address for address, _ in seen}) == LEARNERS


def _read(url: str) -> str | None:
    try:
        with urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None
