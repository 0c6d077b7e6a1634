"""Frames of every kind arrive byte-identical and exactly once at every other member, unicast at one only; what belongs to one link of a LAN
passes between bridges."""
import os
import struct
import time

from lab import Failure, Receiver, mac_bytes, now, until

BROADCAST = b'\xff' * 6
NETBIOS, APPLETALK, PROFINET = b'\3\0\0\0\0\1', b'\x09\0\7\xff\xff\xff', b'\1\x0e\xcf\0\0\0'
GROUP = b'\3\0\0\0\0\2'
GROUPS = (NETBIOS, APPLETALK, PROFINET, GROUP)
NAMES = 'ABD'
TAKES_S = 1.5  # a device that has become promiscuous takes every group: the others know by then


def body(tag, size):
    """A recognisable payload: nothing else in the network carries it."""
    return (tag + b' ' + os.urandom(8).hex().encode() + b' ').ljust(size, b'.')[:size]


def ipx(source):
    """Novell raw 802.3: a length where the EtherType stands, then the IPX header without checksum (0xffff)."""
    packet = b'\xff\xff' + struct.pack('!HBB', 30 + 30, 0, 17) + b'\0\0\0\1' + BROADCAST + b'\4\x53' + b'\0\0\0\1' + source + b'\x40\3' + body(b'IPX', 30)
    return struct.pack('!H', len(packet)) + packet


def llc(access, packet):
    """802.3: a length, the two service access points alike, an unnumbered frame."""
    return struct.pack('!HBBB', len(packet) + 3, access, access, 3) + packet


def snap(organisation, protocol, packet):
    return llc(0xaa, organisation + struct.pack('!H', protocol) + packet)


def kinds(source):
    """(what, destination or None for each other member, the frame from behind the addresses)."""
    appletalk = b'\0\1\x80\x9b\6\4\0\1' + source + b'\0\xff\0\x2a' + bytes(6) + b'\0\xff\0\x2b'
    return [
        ('broadcast 0x88B5', BROADCAST, b'\x88\xb5' + body(b'B88B5', 60)),
        ('unicast 0x88B5', None, b'\x88\xb5' + body(b'U88B5', 60)),
        ('shortest frame', BROADCAST, b'\x88\xb5' + b'x'),
        ('802.3 length with raw IPX, broadcast', BROADCAST, ipx(source)),
        ('802.3 length with raw IPX, unicast', None, ipx(source)),
        ('broadcast 0x8137', BROADCAST, b'\x81\x37' + body(b'IPX-II', 46)),
        ('unicast 0x8137', None, b'\x81\x37' + body(b'IPX-IIU', 46)),
        ('IPX over 802.2, broadcast', BROADCAST, llc(0xe0, body(b'IPX-LLC', 43))),
        ('NetBIOS over LLC, group', NETBIOS, llc(0xf0, body(b'NETBIOS', 43))),
        ('NetBIOS over LLC, unicast', None, llc(0xf0, body(b'NETBIOSU', 43))),
        ('AppleTalk AARP over SNAP, group', APPLETALK, snap(b'\0\0\0', 0x80f3, appletalk)),
        ('AppleTalk DDP over SNAP, unicast', None, snap(b'\x08\0\x07', 0x809b, body(b'DDP', 38))),
        ('PROFINET 0x8892, group', PROFINET, b'\x88\x92\xfe\xfe' + body(b'PN-DCP', 44)),
        ('PROFINET 0x8892, priority 6, unicast', None, b'\x81\x00\xc0\x00\x88\x92\x80\x00' + body(b'PN-RT', 44)),
        ('EtherCAT 0x88A4, broadcast', BROADCAST, b'\x88\xa4\x2c\x10' + body(b'ETHERCAT', 44)),
        ('EtherCAT 0x88A4, unicast', None, b'\x88\xa4\x2c\x10' + body(b'ETHERCATU', 44)),
        ('802.1Q broadcast', BROADCAST, b'\x81\x00\x60\x2a\x88\xb5' + body(b'VLAN42', 60)),
        ('802.1Q unicast', None, b'\x81\x00\x00\x2a\x88\xb5' + body(b'VLAN42U', 60)),
        ('802.1Q with priority only', BROADCAST, b'\x81\x00\xe0\x00\x88\xb5' + body(b'PRIO', 60)),
        ('QinQ broadcast', BROADCAST, b'\x88\xa8\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QINQ', 60)),
        ('QinQ unicast', None, b'\x88\xa8\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QINQU', 60)),
        ('two 802.1Q tags', BROADCAST, b'\x81\x00\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QQ', 60)),
        ('1514 bytes, broadcast', BROADCAST, b'\x88\xb5' + body(b'FULL', 1500)),
        ('1514 bytes, unicast', None, b'\x88\xb5' + body(b'FULLU', 1500)),
        ('multicast 0x88B5', GROUP, b'\x88\xb5' + body(b'MULTI', 60)),
        ('ARP request', BROADCAST, b'\x08\x06\0\1\x08\0\6\4\0\1' + source + bytes((10, 99, 0, 1)) + bytes(6) + bytes((10, 99, 0, 77))),
    ]


def link_local(source):
    """What belongs to one link of a LAN: for other bridges, and for nobody else."""
    bpdu = b'\0\0\0\0\0\x80\0' + source + bytes(4) + b'\x80\0' + source + b'\x80\1\0\0\x14\0\2\0\x0f\0'
    name = b'\2\7\4' + source + b'\4\7\3' + source + b'\6\2\0\x78' + b'\x0a\x11' + body(b'LLDP', 17) + b'\0\0'
    return [
        ('LLDP', b'\x01\x80\xc2\0\0\x0e', b'\x88\xcc' + name),
        ('BPDU of 802.1D', b'\x01\x80\xc2\0\0\0', llc(0x42, bpdu) + bytes(8)),
    ]


def ended(lab, sender, receivers):
    """What was sent before has arrived where the last frame has."""
    end = BROADCAST + lab.tap_mac(sender) + b'\x88\xb5' + body(b'END', 60)
    lab.nodes[sender].host.send(lab.dev(sender), end)
    for n, receiver in receivers.items():
        try:
            until(f'the last frame of {sender} at {n}', lambda receiver=receiver: end in receiver.frames(), 3)
        except Failure as failure:
            lab.fail(str(failure))
    return end


def exactly_once(lab, sender):
    others = [n for n in NAMES if n != sender]
    receivers = {n: Receiver(lab.nodes[n].host, lab.dev(n)) for n in others}
    time.sleep(TAKES_S)
    source, out, wanted = lab.tap_mac(sender), [], {n: {} for n in others}
    for what, destination, rest in kinds(source):
        for to in [None] if destination else others:
            frame = (destination or lab.tap_mac(to)) + source + rest
            out.append(frame)
            for n in [to] if to else others:
                wanted[n][frame] = what
    host, dev = lab.nodes[sender].host, lab.dev(sender)
    begun = now()
    host.send(dev, *out, gap_us=2000)
    end = ended(lab, sender, receivers)
    lab.note(f'{sender}: {len(out)} frames in {(now() - begun) * 1000:.0f} ms')
    for n, receiver in receivers.items():
        got = receiver.stop()
        for frame, what in wanted[n].items():
            near = [f for f in got if f[:14] == frame[:14] and f != frame]
            lab.equal(got.count(frame), 1, f'{sender} -> {n}: {what}: copies' + (f' (like it: {near[0].hex()})' if near and frame not in got else ''))
        strangers = [f for f in got if f[6:12] == source and f not in wanted[n] and f != end and f[12:14] not in (b'\x86\xdd', b'\x08\x06', b'\x08\x00')]
        lab.equal([f.hex() for f in strangers], [], f'{sender} -> {n}: frames of {sender} that it never sent')


def between_bridges(lab):
    """A and B are made bridges; D is none, though its device takes everything."""
    a, dev, source = lab.nodes['A'].host, lab.dev('A'), lab.tap_mac('A')
    receivers = {n: Receiver(lab.nodes[n].host, lab.dev(n)) for n in 'BD'}
    time.sleep(TAKES_S)
    for round_ in ('no bridges', 'A and B bridge'):
        frames = {to + source + rest: what for what, to, rest in link_local(source)}
        if round_ != 'no bridges':
            for name in 'AB':
                lab.controller.cli('member', 'set', lab.nwid, lab.nodes[name].address(), '--bridge', 'on')
            first = next(iter(frames)) + b'first'

            def passes():
                a.send(dev, first)
                return first in receivers['B'].frames()
            until('LLDP passes between bridges', passes, 10, every=0.1)
        a.send(dev, *frames, gap_us=2000)
        ended(lab, 'A', receivers)
        for frame, what in frames.items():
            lab.equal([receivers[n].frames().count(frame) for n in 'BD'], [int(round_ != 'no bridges'), 0], f'{round_}: copies of {what} at B, D')
    strangers = [f for f in receivers['D'].stop() if f[:5] == b'\x01\x80\xc2\0\0' and f[6:12] == source]
    lab.equal(strangers, [], 'frames of one link at D, which is no bridge')
    receivers['B'].stop()


def run(lab):
    lab.start(NAMES, mtu=1500)
    lab.meshed(NAMES)
    for name in NAMES:
        lab.equal(mac_bytes(lab.nodes[name].host.mac(lab.dev(name))), lab.tap_mac(name), f'{name}: MAC of the device')
    for sender in 'AB':
        exactly_once(lab, sender)
    # ARP as the kernels do it, from nothing
    lab.nodes['A'].host.run('ip', 'neigh', 'flush', 'dev', lab.dev('A'))
    lab.equal(lab.nodes['A'].host.ping(lab.ip('D'), wait=2), 1, 'ping after the neighbour table was emptied')
    lab.equal(lab.nodes['A'].host.ping(lab.ip('D'), count=20, size=1472), 20, 'pings of 1514-byte frames')
    # larger than the device's MTU: the kernel's own EMSGSIZE
    big = lab.nodes['A'].host.run('ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', '1473', lab.ip('D'), code=None)
    lab.check(big.returncode != 0 and 'oo long' in big.stdout + big.stderr, f'a frame above the MTU: {big.stdout}{big.stderr}')
    between_bridges(lab)
