"""Shows 3: frames of every kind arrive byte-identical and exactly once at every other member."""
import os
import struct

from lab import Receiver, mac_bytes, now, until

BROADCAST = b'\xff' * 6
NAMES = 'ABD'


def body(tag, size):
    """A recognisable payload: nothing else in the network carries it."""
    return (tag + b' ' + os.urandom(8).hex().encode() + b' ').ljust(size, b'.')[:size]


def ipx(source):
    """Novell raw 802.3: a length where the EtherType stands, then the IPX header without checksum (0xffff)."""
    packet = b'\xff\xff' + struct.pack('!HBB', 30 + 30, 0, 17) + b'\0\0\0\1' + BROADCAST + b'\4\x53' + b'\0\0\0\1' + source + b'\x40\3' + body(b'IPX', 30)
    return struct.pack('!H', len(packet)) + packet


def kinds(lab, name):
    """(what, destination or None for each other member, the frame from behind the addresses)."""
    source = lab.tap_mac(name)
    return [
        ('broadcast 0x88B5', BROADCAST, b'\x88\xb5' + body(b'B88B5', 60)),
        ('unicast 0x88B5', None, b'\x88\xb5' + body(b'U88B5', 60)),
        ('shortest frame', BROADCAST, b'\x88\xb5' + b'x'),
        ('802.3 length with raw IPX, broadcast', BROADCAST, ipx(source)),
        ('802.3 length with raw IPX, unicast', None, ipx(source)),
        ('broadcast 0x8137', BROADCAST, b'\x81\x37' + body(b'IPX-II', 46)),
        ('802.1Q broadcast', BROADCAST, b'\x81\x00\x60\x2a\x88\xb5' + body(b'VLAN42', 60)),
        ('802.1Q unicast', None, b'\x81\x00\x00\x2a\x88\xb5' + body(b'VLAN42U', 60)),
        ('802.1Q with priority only', BROADCAST, b'\x81\x00\xe0\x00\x88\xb5' + body(b'PRIO', 60)),
        ('QinQ broadcast', BROADCAST, b'\x88\xa8\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QINQ', 60)),
        ('QinQ unicast', None, b'\x88\xa8\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QINQU', 60)),
        ('two 802.1Q tags', BROADCAST, b'\x81\x00\x00\x64\x81\x00\x00\x2a\x88\xb5' + body(b'QQ', 60)),
        ('1514 bytes, broadcast', BROADCAST, b'\x88\xb5' + body(b'FULL', 1500)),
        ('1514 bytes, unicast', None, b'\x88\xb5' + body(b'FULLU', 1500)),
        ('multicast 0x88B5', b'\x03\0\0\0\0\1', b'\x88\xb5' + body(b'MULTI', 60)),
        ('ARP request', BROADCAST, b'\x08\x06\0\1\x08\0\6\4\0\1' + source + bytes((10, 99, 0, 1)) + bytes(6) + bytes((10, 99, 0, 77))),
    ]


def exactly_once(lab, sender):
    others = [n for n in NAMES if n != sender]
    receivers = {n: Receiver(lab.nodes[n].host, lab.dev(n)) for n in others}
    source, out, wanted = lab.tap_mac(sender), [], {n: {} for n in others}
    for what, destination, rest in kinds(lab, sender):
        for to in [None] if destination else others:
            frame = (destination or lab.tap_mac(to)) + source + rest
            out.append(frame)
            for n in [to] if to else others:
                wanted[n][frame] = what
    host, dev = lab.nodes[sender].host, lab.dev(sender)
    begun = now()
    host.send(dev, *out, gap_us=2000)
    last = lab.tap_mac(sender)
    end = BROADCAST + last + b'\x88\xb6' + body(b'END', 60)
    host.send(dev, end)
    for n in others:
        try:
            until(f'the last frame of {sender} at {n}', lambda n=n: end in receivers[n].frames(), 3)
        except Exception as error:
            lab.fail(str(error))
    lab.note(f'{sender}: {len(out)} frames in {(now() - begun) * 1000:.0f} ms')
    for n, receiver in receivers.items():
        got = receiver.stop()
        for frame, what in wanted[n].items():
            near = [f for f in got if f[:14] == frame[:14] and f != frame]
            lab.equal(got.count(frame), 1, f'{sender} -> {n}: {what}: copies' + (f' (like it: {near[0].hex()})' if near and frame not in got else ''))
        strangers = [f for f in got if f[6:12] == source and f not in wanted[n] and f != end and f[12:14] not in (b'\x86\xdd', b'\x08\x06', b'\x08\x00')]
        lab.equal([f.hex() for f in strangers], [], f'{sender} -> {n}: frames of {sender} that it never sent')


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
