"""Four bridged sites, and cables from each to the next: every second cable is one too many, and a chain of them makes one LAN with four bridges.

Hosts ping each other all the time while the cables go in, while the one bridge that stayed open dies, and after they are pulled. A cable that
joins two LANs carries what the overlay carried, so nobody is to lose anything but a moment.
"""
import collections
import time

import sites
from lab import Receiver, mac_bytes, now, until
from lab import run as command
from measure import Pings

TITLE = 'three cables between four sites: one bridge stays open, another takes its place'

NAMES = 'ABDE'
COPIES = 50
OPEN_S, OUTAGE_S = 3.0, 3.0
FAIL_S = 8.0     # six of silence after its last probe
PULLED_S = 9.0   # the ports that were shut open again
MARKS = 20


class Sites:
    def __init__(self, lab):
        self.lab = lab
        self.sites = sites.bridged(lab, NAMES)
        self.ip = {name: f'10.50.0.{i + 1}' for i, name in enumerate(NAMES)}
        self.hosts = {name: self.sites[name].cable(f'{name}1', f'{self.ip[name]}/24') for name in NAMES}
        for a in NAMES:
            for b in NAMES:
                if a != b:
                    self.hosts[a].reaches(self.ip[b], 15)
        self.ears = {name: Receiver(self.hosts[name], 'lan', 200, '88b5') for name in NAMES}
        self.pings = [Pings(self.hosts[a], self.ip[b]) for a, b in ('AB', 'BD', 'DE', 'EA', 'AD', 'BE')]

    def open(self):
        return [n for n in self.lab.nodes if not self.lab.nodes[n].network(self.lab.nwid)['blocked']]

    def cast(self, name, mark):
        host = self.hosts[name]
        host.send('lan', b'\xff' * 6 + mac_bytes(host.mac('lan')) + b'\x88\xb5' + mark.encode().ljust(46, b'.'))

    def copies(self, prefix):
        """Of one broadcast with such a mark, at most."""
        marks = [collections.Counter(f[14:24] for f in ear.frames() if f[14:].startswith(prefix.encode())) for ear in self.ears.values()]
        return max(max(m.values(), default=0) for m in marks)

    def once(self, prefix):
        """From each to each: how many of them came once, after a second."""
        for name in NAMES:
            self.cast(name, prefix + name)
        time.sleep(1.0)
        return sum(sum(f[14:].startswith((prefix + a).encode()) for f in self.ears[b].frames()) == 1 for a in NAMES for b in NAMES if a != b)

    def worst(self, since, pings=None):
        end = now()
        return max(ping.longest(since, end) for ping in pings or self.pings)


def plugged(table, lan):
    began = now()
    for i, (a, b) in enumerate(zip(NAMES, NAMES[1:])):
        x, y = lan.sites[a].host.ns, lan.sites[b].host.ns
        command('ip', '-n', x, 'link', 'add', f'c{i}', 'type', 'veth', 'peer', 'name', f'c{i}', 'netns', y)
        for ns in (x, y):
            command('ip', '-n', ns, 'link', 'set', f'c{i}', 'master', 'br1', 'up')
    cables = now()
    for i in range(MARKS):
        lan.cast('A', f'first{i:03}')
    until('one bridge is open', lambda: len(lan.open()) == 1, 10)
    table.most('from the last cable until one bridge is open', now() - cables, OPEN_S, ' s')
    time.sleep(2.0)
    table.most('copies of one broadcast at one host', lan.copies('first'), COPIES, '', 0)
    table.equal('then each broadcast of each comes once to each of the others', lan.once('then'), len(NAMES) * (len(NAMES) - 1))
    table.most('the longest time that one pair was cut', lan.worst(began), OUTAGE_S, ' s')


def killed(table, lan):
    """The LANs are one by now: who dies is missed by nobody, but the network outside of it needs another."""
    first, = lan.open()
    began = now()
    table.lab.nodes.pop(first).kill()
    until('another bridge is open', lambda: len(lan.open()) == 1, 15)
    table.most('the open bridge died: until another one is open', now() - began, FAIL_S, ' s')
    table.most('the longest time that one pair was cut', lan.worst(began), OUTAGE_S, ' s')
    return first


def pulled(table, lan, dead):
    began, left = now(), [n for n in NAMES if n != dead]
    for i, (a, _) in enumerate(zip(NAMES, NAMES[1:])):
        command('ip', '-n', lan.sites[a].host.ns, 'link', 'del', f'c{i}')
    until('all of the others are open', lambda: lan.open() == left, 15)
    table.most('the cables are pulled: until all ports are open', now() - began, PULLED_S, ' s')
    pings = [p for p in lan.pings if f'{dead}1' not in str(p) and not str(p).endswith(lan.ip[dead])]
    time.sleep(2.0)
    table.most(f'the longest time that one of {len(pings)} pairs was cut', lan.worst(began, pings), PULLED_S, ' s')
    table.most('since its last answer', max(now() - p.last() for p in pings), 1.0, ' s')


def run(table):
    lan = Sites(table.lab)
    time.sleep(1.0)
    plugged(table, lan)
    dead = killed(table, lan)
    pulled(table, lan, dead)
    for ping in lan.pings:
        ping.stop()
