"""Shows 8, guards: a member that checks nothing itself (lawless) sends what it may not. Nothing of it reaches another member's device, each frame is
counted there against its sender, and the same frame passes once its sender has the right. A lawful member's own daemon stops the same frames
before they travel.
"""
import ipaddress
import os
import struct
import time

from lab import Daemon, Receiver, SLOW, until
from strain import STRAIN

COUNT = 20
BROADCAST = b'\xff' * 6
FOREIGN = bytes.fromhex('0244556677aa')
SETTLE = b'\x88\xb5settle'


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def address4(text):
    return bytes(map(int, text.split('.')))


def address6(text):
    return ipaddress.IPv6Address(text).packed


def link_local(mac):
    return b'\xfe\x80' + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b'\xff\xfe' + mac[3:]


def ipv4(mac, source, to, protocol, body, target=BROADCAST):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0, address4(source), address4(to))
    head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
    return target + mac + b'\x08\x00' + head + body


def udp(source, to, body):
    return struct.pack('!HHHH', source, to, 8 + len(body), 0) + body


def ipv6(mac, source, next_header, body, target=None, to='ff02::1'):
    to = address6(to)
    head = struct.pack('!IHBB', 0x60000000, len(body), next_header, 255) + source + to
    return (target or b'\x33\x33' + to[12:]) + mac + b'\x86\xdd' + head + body


def icmp6(kind, body):
    return bytes([kind, 0, 0, 0]) + body


def advertisement(mac):
    return icmp6(134, bytes([64, 0]) + struct.pack('!HII', 1800, 0, 0) + b'\x01\x01' + mac)


def arp(mac, op, sender_mac, sender, target_mac, target, to=BROADCAST):
    return to + mac + b'\x08\x06' + struct.pack('!HHBBH', 1, 0x0800, 6, 4, op) + sender_mac + address4(sender) + target_mac + address4(target)


def lawless(lab, name):
    """A member with the daemon that keeps to no rule."""
    lab.nodes[name] = Daemon(lab, lab.host(name), os.path.join('test', 'netns', 'lawless'), ['--add-root', lab.root_line]).start().online()
    lab.join(name)


def settled(ask, wanted, seconds=3):
    """The answer once it is what it should be, or the last one."""
    begun = time.monotonic()
    while True:
        got = ask()
        if got == wanted or STRAIN.over(begun, seconds * SLOW):
            return got
        time.sleep(0.05)


class Watch:
    """What comes to B's device, and what B counts against A."""

    def __init__(self, lab):
        self.lab, self.sender, self.receiver = lab, lab.nodes['A'], lab.nodes['B']
        self.got = Receiver(self.receiver.host, lab.dev('B'), 250)
        self.turn = 0

    def blamed(self, who):
        members = self.receiver.json('drops', self.lab.nwid)['members']
        return next((m['drops'] for m in members if m['address'] == who.address()), {})

    def send(self, who, frames):
        """Sends, then frames that may pass, until one of them came."""
        self.turn += 1
        node = self.lab.nodes[who]
        mark = self.receiver_mac() + self.lab.tap_mac(who) + SETTLE + bytes([self.turn]) + bytes(40)
        node.host.send(self.lab.dev(who), *frames, gap_us=200)

        def marked():
            node.host.send(self.lab.dev(who), mark)
            return settled(lambda: mark in self.got.frames(), True, 0.5)
        until(f'mark {self.turn} of {who} at B', marked, 10)

    def receiver_mac(self):
        return self.lab.tap_mac('B')

    def count(self, frame):
        return self.got.frames().count(frame)

    def refused(self, what, frame, reason):
        before, had = self.blamed(self.sender).get(reason, 0), self.count(frame)
        self.send('A', [frame] * COUNT)
        counted = settled(lambda: self.blamed(self.sender).get(reason, 0) - before, COUNT)
        self.lab.equal(counted, COUNT, f'{what}: counted by B as {reason} against A')
        self.lab.equal(self.count(frame), had, f'{what}: frames at B')

    def passes(self, what, frame, who='A'):
        had = self.count(frame)
        self.send(who, [frame] * COUNT)
        self.lab.equal(settled(lambda: self.count(frame) - had, COUNT), COUNT, f'{what}: frames at B')


def rogues(lab, watch):
    """What is guarded by default, with and without the right, and by the sender's own daemon."""
    mac = lab.tap_mac('A')
    mine = link_local(mac)
    router = ipv6(mac, mine, 58, advertisement(mac))
    hidden = ipv6(mac, mine, 60, bytes([58, 0, 1, 4, 0, 0, 0, 0]) + advertisement(mac))
    stacked = router[:12] + b'\x81\x00\x00\x00' + router[12:]
    redirect = ipv6(mac, mine, 58, icmp6(137, bytes(36)))
    dhcp = ipv4(mac, lab.ip('A'), '255.255.255.255', 17, udp(67, 68, bytes([2]) + bytes(239)))
    dhcp6 = ipv6(mac, mine, 17, udp(547, 546, bytes([2, 1, 2, 3]) + bytes(20)))
    first = ipv6(mac, mine, 44, bytes([60, 0, 0, 1, 0, 0, 0, 9]) + bytes([58, 0, 1, 4, 0, 0, 0, 0]))
    guarded = [('router advertisement', router, 'ra-guard', 'router'), ('the same behind destination options', hidden, 'ra-guard', 'router'),
               ('the same behind a priority tag', stacked, 'ra-guard', 'router'), ('redirect', redirect, 'ra-guard', 'router'),
               ('first fragment without its header', first, 'ra-guard', None), ('DHCP offer', dhcp, 'dhcp-guard', 'dhcp-server'),
               ('DHCPv6 advertise', dhcp6, 'dhcp-guard', 'dhcp-server')]
    for what, frame, reason, _ in guarded:
        watch.refused(what, frame, reason)
    watch.refused('foreign source MAC', watch.receiver_mac() + FOREIGN + b'\x88\xb5' + bytes(46), 'source-mac')
    lawful = lab.nodes['D']
    before = lawful.drops().get('ra-guard', 0)
    own = ipv6(lab.tap_mac('D'), link_local(lab.tap_mac('D')), 58, advertisement(lab.tap_mac('D')))
    watch.send('D', [own] * COUNT)
    lab.equal(watch.count(own), 0, 'router advertisement of a lawful member: frames at B')
    lab.equal(lawful.drops().get('ra-guard', 0) - before, COUNT, 'router advertisement of a lawful member: stopped by its own daemon')
    lab.equal(watch.blamed(lawful), {}, 'what B counts against a lawful member')
    for right in ('router', 'dhcp-server'):
        lab.controller.cli('member', 'set', lab.nwid, lab.nodes['A'].address(), f'--{right}', 'on')
        frames = [(what, frame) for what, frame, _, needs in guarded if needs == right]
        probe = frames[0][1]

        def let_through():
            watch.send('A', [probe])
            return watch.count(probe)
        until(f'B knows that A has the right: {right}', let_through, 15, 0.3)
        for what, frame in frames:
            watch.passes(f'{what} with the right', frame)
        lab.controller.cli('member', 'set', lab.nwid, lab.nodes['A'].address(), f'--{right}', 'off')

        def stopped():
            had = watch.count(probe)
            watch.send('A', [probe])
            return watch.count(probe) == had
        until(f'B knows that A has it no longer: {right}', stopped, 15, 0.3)


def spoofs(lab, watch):
    """With ip guard: every claim to an address that is not the sender's."""
    mac, other = lab.tap_mac('A'), lab.tap_mac('D')
    own, victim, target = lab.ip('A'), lab.ip('D'), lab.ip('B')
    own6, victim6 = address6(lab.ip('A', 6)), address6(lab.ip('D', 6))
    to = watch.receiver_mac()
    bad = [('ARP announcement of another', arp(mac, 1, mac, victim, bytes(6), victim)),
           ('ARP reply for another', arp(mac, 2, mac, victim, to, target, to)),
           ('ARP reply with a foreign MAC', arp(mac, 2, other, own, to, target, to)),
           ('ARP probe for the address of another', arp(mac, 1, mac, '0.0.0.0', bytes(6), victim)),
           ('ND advertisement for another', ipv6(mac, own6, 58, icmp6(136, b'\x20\0\0\0' + victim6 + b'\x02\x01' + mac))),
           ('ND advertisement with a foreign MAC', ipv6(mac, own6, 58, icmp6(136, b'\x20\0\0\0' + own6 + b'\x02\x01' + other))),
           ('IPv4 source of another', ipv4(mac, victim, target, 17, udp(5000, 5001, bytes(20)), to)),
           ('IPv6 source of another', ipv6(mac, victim6, 17, udp(5000, 5001, bytes(20)), to, lab.ip('B', 6))),
           ('link-local source of another', ipv6(mac, link_local(other), 17, udp(5000, 5001, bytes(20)), to, lab.ip('B', 6)))]
    good = [('ARP announcement of its own', arp(mac, 1, mac, own, bytes(6), own)),
            ('ND advertisement of its own', ipv6(mac, own6, 58, icmp6(136, b'\x20\0\0\0' + own6 + b'\x02\x01' + mac))),
            ('IPv4 source of its own', ipv4(mac, own, target, 17, udp(5000, 5001, bytes(20)), to)),
            ('IPv6 source of its own', ipv6(mac, own6, 17, udp(5000, 5001, bytes(20)), to, lab.ip('B', 6))),
            ('DHCP discover', ipv4(mac, '0.0.0.0', '255.255.255.255', 17, udp(68, 67, bytes([1]) + bytes(239))))]
    watch.passes('without ip guard: ' + bad[0][0], bad[0][1])
    lab.equal(lab.nodes['B'].host.ping(victim, count=3), 0, 'pings B to D once A could claim its address')
    lab.nodes['B'].host.run('ip', 'neigh', 'flush', 'dev', lab.dev('B'))
    lab.nodes['B'].host.reaches(victim)
    lab.controller.cli('network', 'set', lab.nwid, '--ip-guard', 'on')
    probe = bad[6][1]

    def stopped():
        had = watch.count(probe)
        watch.send('A', [probe])
        return watch.count(probe) == had
    until('B knows that ip guard is on', stopped, 15, 0.3)
    for what, frame in bad:
        watch.refused(what, frame, 'ip-guard')
    for what, frame in good:
        watch.passes(what, frame)
    for version in (4, 6):
        for frm, at in (('A', 'B'), ('B', 'D'), ('D', 'B')):
            lab.equal(lab.nodes[frm].host.ping(lab.ip(at, version), count=10, interval=0.02, wait=2), 10, f'with ip guard: pings {frm} to {at}, IPv{version}')
    lab.equal(watch.blamed(lab.nodes['D']), {}, 'what B counts against a lawful member in the end')


def run(lab):
    lab.start('BD')
    lawless(lab, 'A')
    lab.meshed('ABD')
    watch = Watch(lab)
    rogues(lab, watch)
    spoofs(lab, watch)
    table = lab.nodes['B'].cli('drops').stdout
    lab.check('ra-guard' in table and lab.nodes['A'].address() in table and lab.nwid in table, f'farlan drops names reason, member and network: {table}')
    watch.got.stop()
