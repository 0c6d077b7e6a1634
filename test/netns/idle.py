#!/usr/bin/env python3
"""idle.py [--nodes 2,30] [--quiet 10] [--minutes 10] [--no-beacons]: what a network costs in which nobody talks.

Two roots, a controller and so many members that have all talked to each other. After the quiet minutes the IP bytes of the underlay
are counted for so many minutes: each node's with its roots (at most ROOT_BPS, both ways together), and those of the members with each
other (at most PAIR_BPS, both ways together, on the mean of all pairs). Counted by nftables where a frame enters the bridge, so
that one that is flooded counts once; a capture beside it tells how long the datagrams are, and so what they are. The kernels ask for
no routers, so the overlay is silent. Keepalives belong to paths in use: with fewer quiet minutes than those last (5) more is seen.
"""
import argparse
import collections
import itertools
import os
import re
import signal
import struct
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import lab as labs  # noqa: E402
from measure import beacons_off  # noqa: E402
from scenarios.forty import acquaint  # noqa: E402

ROOT_BPS, PAIR_BPS = 60.0, 1.0
SYSCTLS = [f'net.ipv6.conf.{dev}.router_solicitations=0' for dev in ('all', 'default', 'u')]
COUNT = '''table bridge idle {
	set bytes {
		type ether_addr . ether_addr . inet_proto
		size 65535
		flags dynamic
		counter
	}
	chain in {
		type filter hook prerouting priority 0;
		meta protocol { ip, ip6 } add @bytes { ether saddr . ether daddr . meta l4proto counter }
	}
}
'''
ELEMENT = re.compile(r'([0-9a-f:]{17}) \. ([0-9a-f:]{17}) \. (\S+) counter packets (\d+) bytes (\d+)')


def counted(lab):
    """{(source MAC, destination MAC, protocol): (packets, IP bytes)}"""
    text = lab.net.run('nft', 'list', 'set', 'bridge', 'idle', 'bytes').stdout
    return {(a, b, proto): (int(packets), int(size)) for a, b, proto, packets, size in ELEMENT.findall(text)}


def network(lab, n):
    """So many members, each of which has talked to each."""
    names = [f'n{i}' for i in range(n)]
    for name in ('R', 'S', 'C', *names):
        lab.host(name).run('sysctl', '-qw', *SYSCTLS)
    lab.net.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')  # a bridge is no host
    acquaint(lab)
    lab.start_root()
    other = ('--add-root', lab.start_root(name='S')[1])
    lab.start_controller(*other)
    for name in names:
        lab.start_node(name, *other, ready=False)
    for name in names:
        lab.nodes[name].ready()
    for daemon in (lab.controller, *lab.nodes.values()):
        daemon.online(60)
    lab.nwid = lab.create(ipv4='10.77.0.0/24')
    for name in names:
        lab.join(name)
    pairs = list(itertools.combinations(names, 2))
    for a, b in pairs if n <= 8 else pairs[::len(names) // 2]:
        lab.nodes[a].host.reaches(lab.ip(b), 20)
    talked = sum(p['path'] != 'none' for p in lab.nodes[names[0]].json('peers')['peers'])
    lab.check(talked >= min(n - 1, 2), f'{names[0]} has talked to {talked} peers only')
    return names


class Kinds:
    """Bytes by who talks to whom."""

    def __init__(self, lab, names):
        self.role = {}
        for name, host in lab.hosts.items():
            self.role[host.mac()] = 'root' if name in 'RS' else 'controller' if name == 'C' else name
        self.names = names

    def of(self, a, b):
        """A kind, and the member it is counted for."""
        one, other = self.role.get(a, '?'), self.role.get(b, '?')
        if one in self.names and other in self.names:
            return 'members', None
        member = one if one in self.names else other if other in self.names else None
        if int(b[:2], 16) & 1:
            return 'to a group', member
        if {one, other} == {'root', 'controller'} or one == other == 'root':
            return 'roots and controller', None
        return f'member and {other if one == member else one}', member


def lengths(path, kinds):
    """{kind: {IP bytes of a datagram: how many}} from the capture."""
    with open(path, 'rb') as file:
        data = file.read()
    told, at = collections.defaultdict(collections.Counter), 24
    while at + 16 <= len(data):
        _, _, kept, length = struct.unpack_from('=IIII', data, at)
        frame = data[at + 16:at + 16 + kept]
        at += 16 + kept
        macs = [':'.join(f'{x:02x}' for x in frame[i:i + 6]) for i in (6, 0)]
        told[kinds.of(*macs)[0]][length - 14] += 1
    return told


def measured(lab, names, minutes):
    kinds = Kinds(lab, names)
    file = os.path.join(lab.folder, 'idle.pcap')
    capture = labs.Capture(lab.net, 'br0', file, '-s', '64', 'ip or ip6')
    lab.net.run('nft', '-f', '-', input=COUNT)
    began = labs.now()
    time.sleep(minutes * 60)
    bytes_, seconds = counted(lab), labs.now() - began
    capture.stop()
    kind, root, groups = collections.Counter(), collections.Counter({n: 0 for n in names}), collections.Counter()
    for (a, b, _), (_, size) in bytes_.items():
        what, member = kinds.of(a, b)
        kind[what] += size
        if what == 'member and root':
            root[member] += size
        if what == 'to a group' and member:
            groups[member] += size
    told = lengths(file, kinds)
    seen = sum(size * n for sizes in told.values() for size, n in sizes.items())
    pairs = len(names) * (len(names) - 1) // 2
    above = sorted(((size / seconds, name) for name, size in root.items() if size / seconds > ROOT_BPS), reverse=True)
    for rate, name in above[:3]:
        paths = collections.Counter(p['path'] for p in lab.nodes[name].json('peers')['peers'])
        lab.note(f'{len(names)} nodes: {name} {rate:.1f} B/s with its roots, paths {dict(paths)}')
    for what, size in sorted(kind.items()):
        common = ', '.join(f'{n} x {length} B' for length, n in told[what].most_common(6))
        lab.note(f'{len(names)} nodes, {what}: {size / seconds:.2f} B/s in all ({common})')
    worst, least, mean = max(root.values()) / seconds, min(root.values()) / seconds, kind['members'] / seconds / pairs
    lab.note(f'{len(names)} nodes: a node and its roots {least:.1f} to {worst:.1f} B/s; members with each other {mean:.3f} B/s per pair; '
             f'to groups {max(groups.values(), default=0) / seconds:.2f} B/s per node at most')
    lab.check(abs(seen - sum(kind.values())) <= 0.05 * seen + 3000, f'nftables counted {sum(kind.values())} bytes, the capture {seen}')
    lab.check(least > 0, 'a node that says nothing to its roots for all this time is not online')
    lab.check(worst <= ROOT_BPS, f'{len(names)} nodes: {worst:.1f} B/s between a node and its roots, at most {ROOT_BPS:g}')
    lab.check(mean <= PAIR_BPS, f'{len(names)} nodes: {mean:.2f} B/s per pair of members, at most {PAIR_BPS:g}')


def counts_right(lab):
    """What the counter calls bytes are IP bytes: one ping of a known size between hosts."""
    lab.net.run('nft', '-f', '-', input=COUNT)
    a, b = lab.hosts['n0'], lab.hosts['n1']
    lab.equal(a.ping(b.address, size=972), 1, 'a ping on the underlay')
    got = {key[:2]: size for key, (_, size) in counted(lab).items() if key[2] in ('icmp', '1')}
    lab.equal((got.get((a.mac(), b.mac())), got.get((b.mac(), a.mac()))), (1000, 1000), 'bytes counted of a packet of 1000')
    lab.net.run('nft', 'delete', 'table', 'bridge', 'idle')


def overlay(lab, names):
    """Frames that the members' kernels have sent into the network so far."""
    return sum(lab.nodes[name].network(lab.nwid)['tx_frames'] for name in names)


def controller_back(lab, names):
    """Members that hear what they know are silent: what is set on the device already is not set again, for the kernel would tell its
    groups to everybody, and each of them would need a session with each."""
    before = overlay(lab, names)
    lab.controller.stop()
    lab.controller.start().online(60)
    time.sleep(30)
    lab.equal(overlay(lab, names) - before, 0, 'frames of the members after the controller came back')


def one(n, quiet, minutes, beacons):
    began, lab = labs.now(), labs.Lab('idle')
    try:
        if not beacons:
            beacons_off(lab)
        names = network(lab, n)
        counts_right(lab)
        print(f'{n} nodes stand after {labs.now() - began:.0f} s; {quiet:g} quiet minutes, {minutes:g} counted', flush=True)
        time.sleep(quiet * 60)
        before = overlay(lab, names)
        measured(lab, names, minutes)
        lab.equal(overlay(lab, names) - before, 0, 'frames of the members meanwhile: then it was not quiet')
        controller_back(lab, names)
        for name in names:
            lab.nodes[name].alive()
        lab.nodes[names[0]].host.reaches(lab.ip(names[-1]), 3)  # a cheap network is no use if it has gone to sleep for good
    except labs.Failure as failure:
        lab.fail(str(failure))
    except Exception:
        lab.fail(traceback.format_exc())
    finally:
        lab.close()
    print(f'{"FAIL" if lab.failures else "ok  "} idle, {n} nodes ({labs.now() - began:.0f} s, {lab.passed} checks)')
    for note in lab.notes:
        print(f'       {note}')
    for failure in lab.failures:
        print(f'     - {failure}', flush=True)
    return not lab.failures


def ended(_signal, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description='bytes of a network in which nobody talks')
    parser.add_argument('--nodes', default='2,30', help='comma between several')
    parser.add_argument('--quiet', type=float, default=10, help='minutes before it is counted')
    parser.add_argument('--minutes', type=float, default=10, help='that are counted')
    parser.add_argument('--no-beacons', action='store_true', help='the internet between them rather than a LAN')
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.exit(2, 'idle.py: network namespaces need root: sudo make idle\n')
    signal.signal(signal.SIGTERM, ended)
    good = [one(int(n), options.quiet, options.minutes, not options.no_beacons) for n in options.nodes.split(',')]
    print(f'{sum(good)} passed, {len(good) - sum(good)} failed')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
