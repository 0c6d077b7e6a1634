"""Somebody moves while traffic flows: a new address in the middle of a long transfer, a NAT that restarts and maps to other ports, a
default route that moves to a second uplink.

That no new handshake was needed is seen on the underlay: the 28 bits that name a session in the clear first word of its datagrams
(PROTOCOL.md, DATA packet) are the same before the move and after it.
"""
import os
import struct
import time

from lab import Capture, Host, pcap_frames, run as command, udp_payload, until
from measure import Flow, Server, Transfer, both, ended, pause, whole

LONG = True

ADDRESS_S, NAT_S, ROUTE_S = 1.5, 2.0, 1.5
SIZE = 1 << 30
TRANSFER_S = 100
BULK = 1000  # a datagram of the transfer, not of its acknowledgements or of control
SETTLED_S = 4.0

NAT = '''table ip nat {
	chain post {
		type nat hook postrouting priority 100;
		oifname "u" meta l4proto udp masquerade to :%d-%d
		oifname "u" masquerade
	}
	chain in {
		type filter hook input priority 0;
		iifname "u" meta l4proto udp drop
	}
}
'''


def sessions(lab, source, destination, seconds=0.3):
    """The names of the sessions in the big datagrams from one host to another, wherever these are now."""
    file = os.path.join(lab.folder, 'bulk.pcap')
    capture = Capture(lab.net, lab.hosts[destination].port, file, '-c', '400', f'udp and src host {lab.hosts[source].address} and greater {BULK}')
    time.sleep(seconds)
    until('some datagrams of the transfer were seen', lambda: os.path.getsize(file) > 24 + BULK, 10)
    seen = [udp_payload(f) for f in pcap_frames(capture.stop())]
    return {struct.unpack_from('<I', p[2])[0] >> 4 for p in seen if p}


def address(lab, name, other, fresh, where, gap=None):
    """The sender or the receiver gets another address half way; with a gap the old one goes first, and so long there is none."""
    node = lab.nodes[name]
    old = node.host.address
    transfer = Transfer(lab.hosts['A'], lab.ip('B'), SIZE, TRANSFER_S)
    transfer.reached(0.2, TRANSFER_S)
    before = sessions(lab, 'A', 'B')
    transfer.reached(0.4, TRANSFER_S)
    begun = time.monotonic()
    if gap is None:
        node.host.addr('add', fresh)
    node.host.addr('del', old)
    if gap is not None:
        time.sleep(gap)
        node.host.addr('add', fresh)
    node.host.address = fresh
    transfer.reached(0.7, TRANSFER_S)
    after = sessions(lab, 'A', 'B')
    report = transfer.end(TRANSFER_S)
    if whole(lab, transfer, report, where):
        lab.within(pause(report, begun), ADDRESS_S, f'{where}: longest pause')
    lab.check(len(before) == 1, f'{where}: one session before the move: {before}')
    lab.equal(after, before, f'{where}: sessions after the move')
    until(f'{where}: direct again', lambda: (lab.nodes['A'].path(lab.nodes['B']), lab.nodes['B'].path(lab.nodes['A'])) == ('direct',) * 2, 10)
    lab.equal(lab.nodes[other].endpoint(node), f'{fresh}:9993', f'{where}: endpoint of {name} at {other}')


class Router:
    """A NAT of our own between the internet and the members behind it; masquerade() again with other ports is its restart."""

    def __init__(self, lab, name, inside, dev, subnet):
        self.host, self.inside, self.dev, self.subnet = lab.host(name), inside, dev, subnet
        ns, into = self.host.ns, f'i{dev}'
        self.host.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
        command('ip', '-n', ns, 'link', 'add', into, 'type', 'veth', 'peer', 'name', dev, 'netns', inside.ns)
        for where, link, address in ((ns, into, f'10.{subnet}.0.1'), (inside.ns, dev, f'10.{subnet}.0.2')):
            command('ip', '-n', where, 'link', 'set', 'dev', link, 'gso_max_segs', '1', 'up')
            command('ip', '-n', where, 'addr', 'add', f'{address}/24', 'dev', link)
        self.ports = None

    def masquerade(self, first, last):
        self.ports = range(first, last + 1)
        self.host.run('nft', '-f', '-', input=('flush ruleset\n' + NAT) % (first, last))
        self.host.run('conntrack', '-F', code=None)

    def default(self):
        command('ip', '-n', self.inside.ns, 'route', 'replace', 'default', 'via', f'10.{self.subnet}.0.1', 'dev', self.dev)


def direct(lab, a, b, seconds=45):
    a, b = lab.nodes[a], lab.nodes[b]
    until(f'{a.host.name} and {b.host.name} direct', lambda: (a.path(b), b.path(a)) == ('direct',) * 2, seconds)


def moved(lab, flows, act, limit, where):
    """Numbered frames around a change: the longest pause of each flow."""
    time.sleep(1.0)
    begun = time.monotonic()
    act()
    time.sleep(SETTLED_S)
    for flow in ended(flows):
        got = flow.got
        lab.note(f'{where}: {flow}: {flow.sent["sent"]} sent, {flow.lost()} lost, {got["twice"]} twice, {got["overtaken"]} overtaken')
        lab.check(got['received'] > 900, f'{where}: {flow}: only {got["received"]} frames came')
        pause = flow.longest(begun)
        lab.within(pause, limit, f'{where}: {flow}: longest pause')
        lab.equal(flow.lost_after(begun + lab.allowed(pause, limit)), 0, f'{where}: {flow}: frames lost later than that')
        lab.equal(got['twice'], 0, f'{where}: {flow}: frames that came twice')


def port_of(lab, name, at):
    endpoint = lab.nodes[at].endpoint(lab.nodes[name])
    return int(endpoint.rsplit(':', 1)[1]) if endpoint else 0


def behind(lab, one, two):
    """The NAT restarts under traffic both ways, and under traffic from outside alone."""
    for what, base, make in (('NAT restarts', 30000, lambda: both(lab, 'A', 'X')), ('NAT restarts, frames only inwards', 40000, lambda: [Flow(lab, 'A', 'X')]),
                             ('NAT restarts, frames only outwards', 50000, lambda: [Flow(lab, 'X', 'A')])):
        direct(lab, 'A', 'X')
        lab.check(port_of(lab, 'X', 'A') in one.ports, f'{what}: A sees X at port {port_of(lab, "X", "A")}, not one of {one.ports}')
        moved(lab, make(), lambda base=base: one.masquerade(base, base + 9999), NAT_S, what)
        direct(lab, 'A', 'X')
        lab.check(port_of(lab, 'X', 'A') in one.ports, f'{what}: A sees X at port {port_of(lab, "X", "A")} after it, not one of {one.ports}')

    def pulled():
        command('ip', '-n', two.inside.ns, 'link', 'set', 'dev', two.dev, 'down')
        one.default()
    for what, to, act in (('default route moves', two, two.default), ('its cable is pulled, default route moves', one, pulled)):
        direct(lab, 'A', 'X')
        moved(lab, both(lab, 'A', 'X'), act, ROUTE_S, what)
        direct(lab, 'A', 'X')
        lab.equal(lab.nodes['A'].endpoint(lab.nodes['X']).split(':')[0], to.host.address, f'{what}: address of X at A')


def run(lab):
    for name in 'RCABN':
        lab.host(name).run('sysctl', '-qw', 'net.ipv4.conf.u.promote_secondaries=1')
    inside = lab.hosts['X'] = Host(lab, 'X', None)
    one, two = Router(lab, 'N', inside, 'e1', 1), Router(lab, 'M', inside, 'e2', 2)
    one.masquerade(20000, 29999)
    two.masquerade(20000, 29999)
    one.default()
    lab.start('ABX')
    lab.meshed('ABX')
    direct(lab, 'A', 'B')
    server = Server(lab.hosts['B'])
    address(lab, 'B', 'A', '198.19.5.5', 'the receiver moves')
    address(lab, 'A', 'B', '198.19.6.6', 'the sender moves')
    address(lab, 'B', 'A', '198.19.7.7', 'the receiver moves, 200 ms without an address', 0.2)
    server.process.terminate()
    behind(lab, one, two)
