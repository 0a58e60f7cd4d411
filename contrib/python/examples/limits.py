"""Runs a command with limits, and tells what it has used: python3 limits.py make -j8"""

import sys

import supervise_api


def main() -> int:
    if len(sys.argv) < 2:
        sys.exit("usage: limits.py COMMAND [ARG...]")
    try:
        done = supervise_api.run(sys.argv[1:], memory_max="2G", cpus=2, pids_max=500, timeout=3600, best_effort=True)
    except supervise_api.TimeoutExpired as e:
        print("limits: ended after an hour, with all that it had started", file=sys.stderr)
        tell(e.record)
        return 124
    except OSError as e:
        sys.exit("limits: {}".format(e))
    tell(done.record)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def tell(record: supervise_api.Record) -> None:
    used = [("{:.2f} s", record.wall_s), ("{:.2f} s of processor time", record.cpu.total_s)]
    used.append(("{:.0f} MiB at most", None if record.memory.peak_bytes is None else record.memory.peak_bytes / (1 << 20)))
    print("limits: {}: ".format(record.cause) + ", ".join(text.format(value) for text, value in used if value is not None), file=sys.stderr)
    for limit in record.unenforced:  # there is no cgroup here, or not this controller
        print("limits: without {}: {}".format(limit.name, limit.reason), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
