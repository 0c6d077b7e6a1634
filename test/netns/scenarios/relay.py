"""Shows 4: with the direct way blocked the root carries the frames, and nobody on the way sees what is in them."""
import os

from lab import Capture, Receiver, mac_bytes, until

def run(lab):
    lab.start_root()
    for name in 'CAB':
        lab.host(name)
    lab.block('A', 'B')
    captures = {name: Capture(lab.net, f'v{name}', os.path.join(lab.folder, f'{name}.pcap')) for name in 'RCAB'}
    captures['at R'] = Capture(lab.hosts['R'], 'u', os.path.join(lab.folder, 'at-R.pcap'))
    lab.start_controller()
    for name in 'AB':
        lab.start_node(name)
    lab.nwid = lab.create()
    for name in 'AB':
        lab.join(name)
    a, b = lab.nodes['A'], lab.nodes['B']
    lab.meshed('AB')
    until('A sees B by a relay', lambda: a.path(b) == 'relay', 5)
    lab.equal(b.path(a), 'relay', 'path of A at B')
    markers = [b'farlan-plaintext-' + os.urandom(6).hex().encode() for _ in range(4)]
    receiver = Receiver(b.host, lab.dev('B'), 60)
    before = a.host.ping(lab.ip('B'), count=50, interval=0.02)
    lab.equal(before, 50, 'pings by the relay')
    source = lab.tap_mac('A')
    out = [(lab.tap_mac('B') if i % 2 else b'\xff' * 6) + source + b'\x88\xb5' + m * 30 for i, m in enumerate(markers)]
    a.host.send(lab.dev('A'), *out, count=5, gap_us=1000)
    until('the marked frames at B', lambda: sum(f[12:14] == b'\x88\xb5' for f in receiver.frames()) >= 20, 5)
    lab.equal(a.path(b), 'relay', 'path after the frames')
    plain = receiver.stop()
    secrets = {f'plaintext {i}': m for i, m in enumerate(markers)}
    nwid = bytes.fromhex(lab.nwid)
    secrets |= {'network id as text': lab.nwid.encode(), 'network id': nwid, 'network id, little end first': nwid[::-1]}
    for name in 'AB':
        secrets[f'MAC of {name}'] = lab.tap_mac(name)
        secrets[f'MAC of {name} as text'] = lab.nodes[name].network(lab.nwid)['mac'].encode()
    for what in ('plaintext 0', 'MAC of A'):
        lab.check(any(secrets[what] in f for f in plain), f'the search finds {what} where it must be, at the device of B')
    for name, capture in captures.items():
        seen = capture.stop()
        lab.check(len(seen) > (2000 if name == 'C' else 30000), f'capture {name}: only {len(seen)} bytes')
        for what, secret in secrets.items():
            lab.check(secret not in seen, f'capture {name} shows the {what}')
    lab.note(f'ping by the relay, path {a.path(b)}: {before} of 50')
    lab.check(mac_bytes(lab.hosts['A'].mac()) != source, 'the underlay has MACs of its own')
