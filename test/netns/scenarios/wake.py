"""farlan wake: a listener in the LAN behind each bridge gets exactly two magic packets, one of EtherType 0x0842 and one to UDP port 9; with --via only
behind that one; by a name of /etc/ethers too. What cannot wake anything is refused."""
import os
import time

from lab import BIN, Receiver, mac_bytes, udp_payload, until
from sites import Site

CARD = '00:11:22:33:44:55'
NAS = '00:11:22:33:44:66'
QUIET_S = 0.5
# /etc is covered in a mount namespace of this one command
BY_NAME = 'mount -t tmpfs none /etc && echo "%s nas" >/etc/ethers && exec %s --home %s wake nas'


def magic(frames):
    return [f for f in frames if f[12:14] == b'\x08\x42' or (udp_payload(f) or [0, (0, 0)])[1][1] == 9]


def heard(lab, listeners, wanted, mac, what):
    """Those wanted heard the two forms of this MAC from A, once each, and nobody else any."""
    pattern = b'\xff' * 6 + mac_bytes(mac) * 16
    for name in wanted:
        until(f'{what}: two frames behind {name}', lambda name=name: len(magic(listeners[name].frames())) >= 2, 5)
    time.sleep(QUIET_S)
    for name, listener in listeners.items():
        got = magic(listener.frames())
        if not lab.equal(len(got), 2 if name in wanted else 0, f'{what}: magic packets behind {name}') or name not in wanted:
            continue
        raw, datagram = sorted(got, key=lambda f: f[12:14] != b'\x08\x42')
        lab.equal(raw, b'\xff' * 6 + lab.tap_mac('A') + b'\x08\x42' + pattern, f'{what}: the frame behind {name}')
        lab.equal(datagram[:12], b'\xff' * 6 + lab.tap_mac('A'), f'{what}: MACs of the datagram behind {name}')
        lab.equal(udp_payload(datagram), ((lab.ip('A'), 9), ('255.255.255.255', 9), pattern), f'{what}: the datagram behind {name}')


def run(lab):
    a, *_ = lab.start('ABD', mtu=1500)
    lans = {}
    for name in 'BD':
        lab.controller.cli('member', 'set', lab.nwid, lab.nodes[name].address(), '--bridge', 'on')
        lans[name] = Site(lab, name, lab.dev(name)).cable(f'{name}1')

    def known():
        return a.cli('wake', CARD, '--via', lab.nodes['B'].address(), code=None).returncode == 0 and \
            a.cli('wake', CARD, '--via', lab.nodes['D'].address(), code=None).returncode == 0
    until('A knows that B and D bridge', known, 10, every=0.2)
    time.sleep(QUIET_S)

    def listen():
        return {name: Receiver(lan, 'lan') for name, lan in lans.items()}

    for argv, wanted, what in (([], 'BD', 'all'), (['--via', lab.nodes['D'].address(), '--network', lab.nwid], 'D', 'via D')):
        listeners = listen()
        said = a.cli('wake', CARD, *argv).stdout.splitlines()
        lab.equal([line.split()[-1] for line in said], sorted(lab.nodes[name].address() for name in wanted), f'{what}: what it says')
        heard(lab, listeners, wanted, CARD, what)
        for listener in listeners.values():
            listener.stop()
    listeners = listen()
    a.host.run('unshare', '-m', 'sh', '-c', BY_NAME % (NAS, os.path.join(BIN, 'farlan'), a.home))
    heard(lab, listeners, 'BD', NAS, 'by name')
    for argv, code in (([a.network(lab.nwid)['mac']], 8), ([lab.nodes['B'].address()], 8), (['nobody'], 5), (['01:00:5e:00:00:01'], 2),
                       ([CARD, '--via', a.address()], 5), ([CARD, '--network', '00000000000000ff'], 2)):
        lab.equal(a.cli('wake', *argv, code=None).returncode, code, f'farlan wake {" ".join(argv)}')
