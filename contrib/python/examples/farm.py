"""A build farm: runs shell commands, one a line of its input, so many at a time, and tells which fail.

    ls */Makefile | sed 's/^/make -f /' | python3 farm.py 8
"""

import asyncio
import sys
from typing import List

from supervise_api import PIPE, STDOUT, AsyncSupervisor, Completed, TimeoutExpired


async def farm(commands: List[str], workers: int) -> int:
    """Run them, and return how many have failed."""
    free = asyncio.Semaphore(workers)
    failed = 0

    async with AsyncSupervisor() as supervisor:  # its end is that of all builds: Ctrl-C leaves nothing

        async def build(command: str) -> bool:
            async with free:
                argv = ["sh", "-c", command]
                done = await supervisor.run(argv, stdout=PIPE, stderr=STDOUT, text=True, errors="replace", timeout=600)
            report(command, done)
            return done.returncode == 0

        for one in asyncio.as_completed([build(command) for command in commands]):
            try:
                failed += not await one
            except TimeoutExpired as e:
                print("--- {}: ended after {} s".format(e.cmd[-1], e.timeout))
                failed += 1
    return failed


def report(command: str, done: Completed) -> None:
    cost = "" if done.record.cpu.total_s is None else ", {:.2f} s of processor time".format(done.record.cpu.total_s)
    print("--- {}: {}{}".format(command, "done" if done.returncode == 0 else "failed ({})".format(done.returncode), cost))
    sys.stdout.write(done.stdout)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    sys.exit(min(1, asyncio.run(farm([line.strip() for line in sys.stdin if line.strip()], number))))
