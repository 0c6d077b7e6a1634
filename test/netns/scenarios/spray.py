"""A router that gives each destination another port, and one that lets in only who was written to: direct all the same, by many ports at
once (node/spray.c). Chance has a hand in it: after 1024 datagrams 1-(1-256/64512)^1024 = 98 % have met. Two of the first kind never try, nor
does who was told not to."""
import os
import time

from lab import run as command
from nat_cells import Pinger, Result, Slot, World, both_direct, known
from routers import ip

LONG = True

TRIES, WANTED = 3, 2
DIRECT_S = 22.0  # after the first answer: 8 s on the relay, the question, 11 s of the easy side's datagrams
STAY_S = 14.0    # how long those are watched that must not begin
KNOCKS_MAX, SOCKETS = 1024, 256
QUIET = 60       # entries of conntrack that a pair without a spray leaves at most: its roots, its candidates


def flows(router):
    """UDP entries in the memory of a router."""
    return len(command('ip', 'netns', 'exec', router.ns, 'conntrack', '-L', '-p', 'udp').stdout.splitlines())


def sockets(node):
    return len(command('ip', 'netns', 'exec', node.host.ns, 'ss', '-Haun').stdout.splitlines())


class Sight:
    """The most entries each router had."""

    def __init__(self, slot):
        self.routers, self.most = slot.routers, [0] * len(slot.routers)

    def look(self):
        self.most = [max(m, flows(r)) for m, r in zip(self.most, self.routers)]


def pair(slot, left, right, direct, no=()):
    """One pair from cold until it is direct, or for STAY_S. no: those whose config says so."""
    result = Result(f'{left} x {right}{", " + "/".join(no) + " without" if no else ""}')
    ids, where = known(slot), [None, None]
    slot.place(left, right)
    for name, node in (('a', slot.a), ('b', slot.b)):
        with open(os.path.join(node.home, 'farland.conf'), 'w', encoding='ascii') as file:
            file.write('spray = no\n' if name in no else '')
    slot.a.start().online()
    slot.b.start().online()
    time.sleep(1)  # until those who look for mappings have closed what they asked by
    sight, before = Sight(slot), [sockets(n) for n in (slot.a, slot.b)]
    ip(slot.a.host.ns, f'neigh replace {slot.ip} lladdr {slot.mac} dev {slot.lab.dev(slot.a.host.name)} nud permanent')
    pinger = Pinger(slot.a.host, slot.ip)
    began, first = time.monotonic(), None
    try:
        while time.monotonic() - began < (DIRECT_S if direct else STAY_S) + 2:
            slot.a.alive(), slot.b.alive()
            sight.look()
            if first is None and pinger.first():
                first = time.monotonic()
                result.first = first - began
            if result.direct is None and both_direct(slot, ids, where):
                result.direct = time.monotonic() - first
                time.sleep(1.5)
                break
            time.sleep(0.25)
        both_direct(slot, ids, where)
    finally:
        result.lost, result.twice = pinger.stop()
    more = [sockets(n) - b for n, b in zip((slot.a, slot.b), before)]
    result.path = f'{where[0][0]}/{where[1][0]}, flows {sight.most}, sockets +{more}'
    result.wanted(not result.lost, f'{result.lost} pings lost')
    if direct:
        # The winner is kept, and one more at most; the others are gone with the spray.
        result.wanted(result.direct is None or all(m <= 2 for m in more), f'sockets left over: {more}')
        result.wanted(max(sight.most) <= KNOCKS_MAX + SOCKETS + QUIET, f'entries of conntrack: {sight.most}')
    else:
        result.wanted(result.direct is None, 'direct, which nothing could have made it')
        result.wanted(max(sight.most) <= QUIET and max(more) <= 0, f'somebody sprayed: {sight.most} entries, sockets {more}')
    slot.stop()
    return result


def run(lab):
    slot = Slot(World(lab), 1)
    slot.members()
    met = []

    def one(*how, **more):
        result = pair(slot, *how, **more)
        lab.note(result.line())
        lab.check(not result.wrong, f'{result.title}: {"; ".join(result.wrong)}')
        return result.direct
    for _ in range(TRIES):
        met.append(one('port', 'symmetric', True))
    one('symmetric', 'symmetric', False)
    one('port', 'symmetric', False, no=('a',))
    one('port', 'symmetric', False, no=('b',))
    met = sorted(m for m in met if m is not None)
    lab.check(len(met) >= WANTED, f'port x symmetric: {len(met)} of {TRIES} met, {WANTED} are wanted')
    lab.note(f'{len(met)} of {TRIES} met, after {", ".join(f"{m:.1f}" for m in met)} s')
