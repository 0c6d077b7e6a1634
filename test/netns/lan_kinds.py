"""Old and special protocols between two bridged sites and two members that are hosts: each frame byte for byte and once at the ports it
is for, and nowhere else.

The sender HA and the listener HB are LAN hosts behind the bridges of A and B. D has joined the groups by the kernel's own list, and
takes nothing else; E has joined none. Nobody but HB listens promiscuously: a member that did would be asking for every group.
"""
import time

import lab as labs
import sites
from lab import Receiver, mac_bytes, until
from lab import run as command
from scenarios.frames import BROADCAST, GROUPS, TAKES_S, body, kinds, link_local

TITLE = 'IPX, NetBIOS, AppleTalk, PROFINET, EtherCAT, LLDP, 802.1Q, QinQ: the same bytes at the right ports'

LLDP_MASK = '0x4000'  # of a Linux bridge, which keeps LLDP to the link else
PORTS = ('HB', 'D', 'E')
NEVER = b'\x02\x77\x77\x77\x77\x77'


class Ports:
    def __init__(self, lab, hosts, devs):
        self.lab, self.hosts, self.devs, self.ends = lab, hosts, devs, set()
        self.mac = {n: mac_bytes(hosts[n].mac(devs[n])) for n in PORTS}
        self.receivers = {n: Receiver(hosts[n], devs[n], 120, plain=n != 'HB') for n in PORTS}

    def ended(self):
        """A last frame that all of them get, by the same way as the others."""
        end = BROADCAST + self.source() + b'\x88\xb5' + body(b'END', 60)
        self.ends.add(end)
        self.send(end)
        for n in PORTS:
            until(f'the last frame at {n}', lambda n=n: end in self.receivers[n].frames(), 5)
        return True

    def source(self):
        return mac_bytes(self.hosts['HA'].mac('lan'))

    def send(self, *frames):
        self.hosts['HA'].send('lan', *frames, gap_us=3000)

    def seen(self, frame):
        return {n: self.receivers[n].frames().count(frame) for n in PORTS}


def takers(to, ports):
    """Where a frame belongs."""
    if to == BROADCAST:
        return PORTS
    if to in GROUPS:
        return ('HB', 'D')
    return tuple(n for n in PORTS if ports.mac[n] == to) or ('HB',)


def words(counts):
    return ' '.join(f'{n} {count}' for n, count in counts.items())


def sent_and_seen(table, ports):
    source, out = ports.source(), []
    for what, to, rest in kinds(source):
        for one in [to] if to else [ports.mac[n] for n in PORTS]:
            out.append((what, one, one + source + rest))
    out += [('unicast to a MAC nobody has', NEVER, NEVER + source + b'\x88\xb5' + body(b'NEVER', 60))]
    local = [(what, to, to + source + rest) for what, to, rest in link_local(source)]
    ports.send(*[frame for _, _, frame in out + local])
    ports.ended()
    rows = {}
    for what, to, frame in out:
        wanted = {n: int(n in takers(to, ports)) for n in PORTS}
        rows.setdefault(what, []).append((ports.seen(frame), wanted))
    for what, pairs in rows.items():
        table.equal(what, ', '.join(words(got) for got, _ in pairs), ', '.join(words(wanted) for _, wanted in pairs))
    for what, _, frame in local:
        table.equal(f'{what}, bridges only', words(ports.seen(frame)), 'HB 1 D 0 E 0')
    known = {frame for _, _, frame in out + local} | ports.ends
    strange = [f.hex() for n in PORTS for f in ports.receivers[n].frames() if f[6:12] == source and f not in known and f[12:14] != b'\x86\xdd']
    table.equal('other bytes with the sender\'s MAC, anywhere', ' '.join(strange[:3]) or 'none', 'none')


def run(table):
    lab = table.lab
    both = sites.bridged(lab, 'AB')
    for site in both.values():
        command('ip', '-n', site.host.ns, 'link', 'set', 'br1', 'type', 'bridge', 'group_fwd_mask', LLDP_MASK)
    for name in 'DE':
        lab.start_node(name).online()
        lab.join(name)
    hosts = {'HA': both['A'].cable('HA'), 'HB': both['B'].cable('HB'), **{n: lab.nodes[n].host for n in 'DE'}}
    devs = {'HA': 'lan', 'HB': 'lan', **{n: lab.dev(n) for n in 'DE'}}
    for group in GROUPS:
        command('ip', '-n', hosts['D'].ns, 'maddr', 'add', ':'.join(f'{b:02x}' for b in group), 'dev', devs['D'])
    ports = Ports(lab, hosts, devs)
    begun = labs.now()
    until('a broadcast of HA is everywhere', ports.ended, 20)
    for n in PORTS:
        hosts[n].send(devs[n], BROADCAST + ports.mac[n] + b'\x88\xb5' + body(b'HERE', 60))
    time.sleep(max(TAKES_S - (labs.now() - begun), 0.5))
    sent_and_seen(table, ports)
    for receiver in ports.receivers.values():
        receiver.stop()
