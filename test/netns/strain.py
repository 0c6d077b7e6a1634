"""strain.py: how much of the time this machine was not ours.

Limits of scenarios are for programs that have the machine. Where others want it as well (more labs, a build, other machines of the same
host) a limit is stretched by what was measured: the time in which something that could run waited for a processor (the kernel's "some"
of /proc/pressure/cpu), and what the host gave to others (steal). On a quiet machine that is next to nothing, so limits are as written;
and none is ever stretched to more than MOST times itself, or a program that hangs would pass where others work.
"""
import bisect
import math
import os
import threading
import time

MOST = 4
EVERY_S = 0.1
KEPT = 6000  # readings: ten minutes


def pressure():
    """Seconds since the start, or 0 of a kernel that does not tell."""
    try:
        with open('/proc/pressure/cpu', encoding='ascii') as file:
            return int(file.readline().rsplit('=', 1)[1]) / 1e6
    except OSError:
        return 0.0


def stolen():
    """Seconds since the start, of one processor."""
    with open('/proc/stat', encoding='ascii') as file:
        return int(file.readline().split()[8]) / os.sysconf('SC_CLK_TCK') / (os.cpu_count() or 1)


class Strain:
    """Readings of what was lost, ten a second."""

    def __init__(self):
        self.kept = [self.now()]  # when, and how much was lost until then; one thread adds and forgets, others copy
        threading.Thread(target=self.watch, daemon=True).start()

    @staticmethod
    def now():
        return time.monotonic(), pressure() + stolen()

    def watch(self):
        while True:
            time.sleep(EVERY_S)
            self.kept.append(self.now())
            del self.kept[:-KEPT]

    def since(self, begun):
        """The readings from the last one before that time on."""
        kept = self.kept[:]
        return kept[max(0, bisect.bisect_right(kept, (begun, math.inf)) - 1):] + [self.now()]

    def lost(self, begun):
        """Seconds lost since then, never more than went by."""
        kept = self.since(begun)
        return min(kept[-1][1] - kept[0][1], kept[-1][0] - begun)

    def worst(self, length, since):
        """The most that was lost in one stretch of that length since then."""
        kept, most, end = self.since(since), 0.0, 0
        for begin, (at, lost) in enumerate(kept):
            end = max(end, begin)
            while end + 1 < len(kept) and kept[end][0] - at < length:
                end += 1
            most = max(most, kept[end][1] - lost)
        return min(most, length)

    def allowed(self, seconds, limit, since):
        """What a limit becomes for something that took so many seconds, at a time nobody knows since then."""
        return min(limit + self.worst(seconds, since), limit * MOST)

    def over(self, begun, limit):
        """Whether a wait that began then has had its time."""
        went = time.monotonic() - begun
        return went > limit and (went > limit * MOST or went - self.lost(begun) > limit)

    def rest(self, begun, seconds):
        """Sleeps until so many seconds since then were ours."""
        while not self.over(begun, seconds):
            left = begun + seconds - time.monotonic()
            time.sleep(left if left > 0 else 0.005)


STRAIN = Strain()
