"""A private root: who has its line with the gate registers and works; who has the line without it draws not one packet."""
import base64
import os
import time

from lab import Capture, Daemon, pcap_frames, udp_payload, until


def packets(data, source, to):
    """How many IP packets went from one address to another, of any kind but the kernel's RST to who tries a TCP port."""
    ends = [bytes(map(int, x.split('.'))) for x in (source, to)]
    return sum(f[12:14] == b'\x08\x00' and [f[26:30], f[30:34]] == ends and not (f[23] == 6 and f[47] & 4) for f in pcap_frames(data))


def run(lab):
    gate = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')
    home = os.path.join(lab.folder, 'R')
    os.makedirs(home, 0o700)
    with open(os.path.join(home, 'farland.conf'), 'w', encoding='ascii', opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(f'root-gate = {gate}\ntls = none\n')  # its TLS port answers anybody, as a web server does (fallback.py)
    lab.start_root()
    lab.check(f'gate={gate}' in lab.root_line.split('#')[1].split('&'), 'the root line holds the gate')
    lab.start_controller()
    a = lab.start_node('A').online()
    lab.controller.online()
    wrong = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')
    bare = lab.root_line.split('#')[0]
    strangers = {'B': bare, 'D': f'{bare}#gate={wrong}'}
    captures, nodes = {}, {}
    for name, line in strangers.items():
        host = lab.host(name)
        captures[name] = Capture(host, 'u', os.path.join(lab.folder, f'{name}.pcap'))
        nodes[name] = Daemon(lab, host, 'farland', ['--add-root', line]).start()
    lab.nwid = lab.create()
    lab.join('A')
    time.sleep(4.0)  # silence can only be seen by waiting; they ask several times meanwhile
    for name, capture in captures.items():
        lab.check(not nodes[name].json('status').get('online'), f'{name} without the gate is online')
        data = capture.stop()
        asked = packets(data, lab.hosts[name].address, lab.hosts['R'].address)
        lab.check(asked >= 3, f'{name} asked only {asked} times')
        lab.equal(packets(data, lab.hosts['R'].address, lab.hosts[name].address), 0, f'packets of the private root to {name}')
        lab.note(f'{name}: {asked} packets to the root, none back')
        longest = [len(p[2]) for f in pcap_frames(data) if (p := udp_payload(f)) and p[1] == (lab.hosts['R'].address, 9993)]
        lab.check(longest and max(longest) >= 216, f'{name} sent no INIT: {longest}')
    # the same node with the gate: it was the gate and nothing else
    b = nodes['B']
    b.stop()
    b.options = ['--add-root', lab.root_line]
    lab.nodes['B'] = b.start().online()
    lab.join('B')
    lab.meshed('AB')
    lab.equal(a.host.ping(lab.ip('B'), count=20, interval=0.02), 20, 'pings')
    until('A sees B directly', lambda: a.path(b) == 'direct', 10)
    lab.check(not nodes['D'].json('status').get('online'), 'D with a wrong gate is online')
