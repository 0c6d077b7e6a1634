"""An underlay of IPv6 alone: join, approval, ping, the direct path, and a 1514-byte frame in a network of MTU 1500."""
import os

from lab import Receiver, until


def run(lab):
    lab.underlay = 'fd53:7e57::%x'
    a, b = lab.start('AB', mtu=1500)
    for name, host in lab.hosts.items():
        shown = host.run('ip', '-4', 'addr', 'show', 'dev', 'u').stdout
        lab.equal(shown, '', f'IPv4 on the underlay of {name}')
    lab.meshed('AB')
    for x, y, name in ((a, b, 'B'), (b, a, 'A')):
        until(f'{x.host.name} sees {name} directly', lambda x=x, y=y: x.path(y) == 'direct', 15)
        lab.equal(x.endpoint(y), y.host.endpoint(), f'endpoint of {name}')
        for version in (4, 6):
            lab.equal(x.host.ping(lab.ip(name, version), count=20, interval=0.02), 20, f'IPv{version} pings to {name}')
    sent = []
    receiver = Receiver(b.host, lab.dev('B'), 30, '88b5')
    for to in (b'\xff' * 6, lab.tap_mac('B')):
        sent += [to + lab.tap_mac('A') + b'\x88\xb5' + os.urandom(1500) for _ in range(10)]
    a.host.send(lab.dev('A'), *sent, gap_us=1000)
    last = b'\xff' * 6 + lab.tap_mac('A') + b'\x88\xb5' + b'end of the frames'
    a.host.send(lab.dev('A'), last)
    until('the last frame at B', lambda: last in receiver.frames(), 5)
    got = receiver.stop()
    for i, frame in enumerate(sent):
        lab.equal(got.count(frame), 1, f'copies of frame {i} of 1514 bytes')
    lab.equal(len(got), len(sent) + 1, 'frames in all')
    lab.equal(a.path(b), 'direct', 'path after the frames')
