"""A way that passes packets of 1280 bytes at most and says nothing about it: from the start, and from the middle of a transfer on.
A long TCP transfer completes, and where the way shrank it goes on within 5 s.

The wire in front of A drops what is too long without a word, so there is no ICMP; A's own device stays at 1500. What the network's
devices carry (1400) does not fit into such a packet.
"""
import time

from lab import now, until
from measure import Server, Transfer, pause, whole

LONG = True

LIMIT_S = 5.0
SIZE, RELAYED = 100 << 20, 16 << 20
TRANSFER_S = 60
NARROW, WIDE = 1280, 1500
FITS = NARROW - 28  # bytes of a datagram


def datagrams(lab, a, b):
    """The largest datagram each takes for passing on the way to the other."""
    def of(one, other):
        return next(p['datagram'] for p in lab.nodes[one].json('peers')['peers'] if p['address'] == lab.nodes[other].address())
    return of(a, b), of(b, a)


def transfers(lab, frm, to, size, where, act=None, port=7000):
    transfer = Transfer(lab.hosts[frm], lab.ip(to), size, TRANSFER_S, port)
    begun = now()
    if act:
        transfer.reached(0.3, TRANSFER_S)
        begun = now()
        act()
    report = transfer.end(TRANSFER_S + 5)
    if whole(lab, transfer, report, where):
        lab.within(pause(report, begun), LIMIT_S, f'{where}: longest pause')


def large(lab, frm, to, where):
    """Frames as long as the device allows pass as well, each of them."""
    lab.equal(lab.hosts[frm].ping(lab.ip(to), 20, 0.02, 2, 1400 - 28, '-M', 'do'), 20, f'{where}: answered pings of 1400 bytes')


def narrow(lab, a, b, where):
    lab.check(max(datagrams(lab, a, b)) <= FITS, f'{where}: datagrams of {datagrams(lab, a, b)} bytes are sent, {FITS} pass')


def run(lab):
    lab.host('R')
    lab.host('C')
    wire = lab.host('A', wire=[f'--mtu {NARROW}']).wire
    lab.host('B')
    lab.host('D')
    lab.block('A', 'D')
    lab.start('ABD')
    lab.meshed('ABD')
    a, b, d = (lab.nodes[n] for n in 'ABD')
    until('A and B direct', lambda: (a.path(b), b.path(a)) == ('direct', 'direct'), 15)
    until('A and D by the root', lambda: (a.path(d), d.path(a)) == ('relay', 'relay'), 15)
    for name in 'ABD':
        Server(lab.hosts[name])
    time.sleep(3.0)  # a search for the size is over
    large(lab, 'A', 'B', 'narrow from the start')
    large(lab, 'A', 'D', 'narrow from the start, by the root')
    transfers(lab, 'A', 'B', SIZE, 'narrow from the start, A -> B')
    transfers(lab, 'B', 'A', SIZE, 'narrow from the start, B -> A')
    transfers(lab, 'A', 'D', RELAYED, 'narrow from the start, A -> D by the root')
    narrow(lab, 'A', 'B', 'narrow from the start')
    lab.check(wire.counters()['a']['too_long'] + wire.counters()['b']['too_long'] > 0, 'nobody ever tried whether more would pass')

    for frm, to in ('AB', 'BA'):
        where = f'narrow in the middle, {frm} -> {to}'
        wire.set(f'--mtu {WIDE}')
        for name in 'AB':  # the size is looked for when a way is found, and then every ten minutes
            lab.nodes[name].stop()
            lab.nodes[name].start(ready=False)
        for name in 'AB':
            lab.nodes[name].ready()
        lab.hosts['A'].reaches(lab.ip('B'), 15)
        until(f'{where}: 1472 bytes are known to pass before', lambda: datagrams(lab, 'A', 'B') == (WIDE - 28,) * 2, 20)
        server = Server(lab.hosts[to], 7001)  # the device is another one since
        before = wire.counters()
        transfers(lab, frm, to, SIZE, where, lambda: wire.set(f'--mtu {NARROW}'), 7001)
        after = wire.counters()
        lab.check(sum(after[s]['too_long'] - before[s]['too_long'] for s in 'ab') > 0, f'{where}: nothing was ever too long')
        large(lab, frm, to, where)
        narrow(lab, 'A', 'B', where)
        server.process.terminate()
