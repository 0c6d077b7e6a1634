"""An interface as a port: `farlan port add` puts a veth of A, behind which the machine H stands, on the network, without a Linux bridge.

	H e0 10.77.0.200 ======== p0 on A ~~~~ overlay ~~~~ B, D
"""
import json
import os
import subprocess
import sys

from lab import Receiver, mac_bytes, now, run as command, until
from measure import Server, Transfer, whole

LAN_IP = '10.77.0.200'
BROADCAST = b'\xff' * 6
SIZE = 64 << 20
COUNTER = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', int(sys.argv[1])))
s.settimeout(float(sys.argv[2]))
print('ready', flush=True)
try:
    print(s.recv(100).decode())
except TimeoutError:
    print('nothing')
'''


def body(size):
    return os.urandom(8).hex().encode().ljust(size, b'.')


def cable(lab, host):
    """p0 on A, e0 on H, as if a machine had been plugged in."""
    a = lab.hosts['A']
    command('ip', '-n', a.ns, 'link', 'add', 'p0', 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'e0', 'netns', host.ns)
    host.run('ip', 'link', 'set', 'e0', 'address', '02:00:00:00:77:01')
    host.run('ip', 'addr', 'add', f'{LAN_IP}/24', 'dev', 'e0')
    host.run('ip', 'link', 'set', 'e0', 'up')
    a.run('ip', 'link', 'set', 'p0', 'up')


def port(lab):
    return lab.nodes['A'].network(lab.nwid)['port']


def opened(lab, seconds=8):
    until('the port is open', lambda: (port(lab) or {}).get('open'), seconds)


def arrives(lab, sender, dev, receiver_host, receiver_dev, frames, what):
    """Each of the frames exactly once and as it was sent, in the order they were sent."""
    receiver = Receiver(receiver_host, receiver_dev)
    sender.send(dev, *frames, gap_us=2000)
    try:
        until(f'{what}: the last frame', lambda: frames[-1] in receiver.frames(), 3)
    except Exception as error:
        lab.fail(str(error))
    got = receiver.stop()
    for number, frame in enumerate(frames):
        lab.equal(got.count(frame), 1, f'{what}: frame {number} ({frame[12:18].hex()}), copies')
    return got


def kinds(source, to):
    return [to + source + rest + body(60) for rest in (
        b'\x88\xb5', b'\x81\x00\x60\x2a\x88\xb5', b'\x81\x00\xe0\x00\x88\xb5', b'\x88\xa8\x00\x64\x81\x00\x00\x2a\x88\xb5',
        b'\x81\x00\x00\x64\x81\x00\x00\x2a\x88\xb5', b'\x81\x37', b'\x00\x40\xff\xff')] + [to + source + b'\x88\xb5' + body(1500)]


def datagram(lab, number, wait):
    """What B gets on that UDP port when H sends there."""
    b = lab.nodes['B'].host
    listener = b.popen(sys.executable, '-c', COUNTER, str(number), str(wait), stdout=subprocess.PIPE, text=True)
    listener.stdout.readline()
    lab.hosts['H'].run(sys.executable, '-c', 'import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (sys.argv[1], int(sys.argv[2])))',
                       lab.ip('B'), number)
    return listener.communicate(timeout=20)[0].strip()


def permission(lab):
    """Without the right to bridge it waits and says whose word is missing."""
    a = lab.nodes['A']
    told = a.cli('port', 'add', lab.nwid, 'p0')
    lab.check('waits' in told.stdout, f'without the right: {told.stdout!r}')
    wanted = f'farlan member set {lab.nwid} {a.address()} --bridge on'
    lab.check(wanted in told.stderr, f'port add says who must allow it: {told.stderr!r}')
    lab.check('port p0: the controller must allow it' in a.cli('status').stdout, 'status says it too')
    lab.equal(lab.hosts['H'].ping(lab.ip('B'), wait=0.3), 0, 'answers to H without the right')
    began = now()
    lab.controller.cli('member', 'set', lab.nwid, a.address(), '--bridge', 'on')
    opened(lab)
    lab.note(f'open {now() - began:.2f} s after the right was given')


def traffic(lab):
    a, b, h = lab.nodes['A'].host, lab.nodes['B'].host, lab.hosts['H']
    h.reaches(lab.ip('B'), 5)
    h.reaches(lab.ip('A'), 5)  # the node that has the port is a machine of the network like others
    b.reaches(LAN_IP, 5)
    a.reaches(LAN_IP, 5)
    lab.equal(h.ping(lab.ip('D'), count=20), 20, 'pings H -> D')
    mac = mac_bytes(h.mac('e0'))
    fdb = {e['mac']: e for e in lab.nodes['B'].json('fdb', lab.nwid)['entries']}
    lab.equal(fdb.get(h.mac('e0'), {}).get('address'), lab.nodes['A'].address(), 'B knows H behind')
    arrives(lab, h, 'e0', b, lab.dev('B'), kinds(mac, BROADCAST), 'H to all, at B')
    arrives(lab, h, 'e0', a, lab.dev('A'), kinds(mac, BROADCAST), 'H to all, at A')
    arrives(lab, h, 'e0', b, lab.dev('B'), kinds(mac, lab.tap_mac('B')), 'H to B')
    arrives(lab, b, lab.dev('B'), h, 'e0', kinds(lab.tap_mac('B'), mac), 'B to H')
    arrives(lab, a, lab.dev('A'), h, 'e0', kinds(lab.tap_mac('A'), mac), 'A to H')
    # No echo: what goes out by the port does not come back in, neither to the sender nor to a third one.
    at_b, at_d = Receiver(b, lab.dev('B')), Receiver(lab.nodes['D'].host, lab.dev('D'))
    frames = kinds(lab.tap_mac('B'), BROADCAST)
    arrives(lab, b, lab.dev('B'), h, 'e0', frames, 'B to all, at H')
    until('D has the last frame', lambda: frames[-1] in at_d.frames(), 3)
    mine = [f for f in at_b.stop() if f in frames]
    lab.equal(mine, [], 'frames of B that came back to B')
    lab.equal([f for f in frames if at_d.frames().count(f) != 1], [], 'frames of B that D has not once')
    at_d.stop()
    for sender, to_host, to in ((h, b, lab.ip('B')), (b, h, LAN_IP)):
        Server(to_host)
        long = Transfer(sender, to, SIZE, 40)
        whole(lab, long, long.end(50), f'TCP {sender.name} -> {to_host.name}')


def filtered(lab):
    a = lab.nodes['A']
    lab.equal(datagram(lab, 9999, 5), 'hello', 'UDP 9999 before the filter')
    bad = a.cli('port', 'add', lab.nwid, 'p0', 'not', 'port', 'nowhere', code=2)
    lab.check('filter: ' in bad.stderr, f'a wrong filter is refused by libpcap: {bad.stderr!r}')
    lab.equal(port(lab)['filter'], '', 'the filter after a wrong one')
    a.cli('port', 'add', lab.nwid, 'p0', 'not', 'port', '9999')
    opened(lab)
    lab.equal(datagram(lab, 9999, 0.7), 'nothing', 'UDP 9999 with the filter')
    lab.equal(datagram(lab, 9998, 5), 'hello', 'UDP 9998 with the filter')


def promiscuity(host):
    return json.loads(host.run('ip', '-d', '-j', 'link', 'show', 'p0').stdout)[0]['promiscuity']


def restarts(lab):
    a, h = lab.nodes['A'], lab.hosts['H']
    lab.check(promiscuity(a.host) > 0, 'p0 is promiscuous while it is a port')
    a.stop()
    lab.equal(promiscuity(a.host), 0, 'promiscuity of p0 with the daemon stopped')
    a.start()
    opened(lab, 20)
    lab.equal((port(lab)['iface'], port(lab)['filter']), ('p0', 'not port 9999'), 'the port after a restart')
    h.reaches(lab.ip('B'), 15)
    lab.equal(datagram(lab, 9999, 0.7), 'nothing', 'UDP 9999 after a restart')
    # down, up, away and back
    a.host.run('ip', 'link', 'set', 'p0', 'down')
    until('status says that p0 is down', lambda: 'p0 is down: ip link set p0 up' in a.cli('status').stdout, 8)
    a.host.run('ip', 'link', 'set', 'p0', 'up')
    h.reaches(lab.ip('B'), 5)
    a.host.run('ip', 'link', 'del', 'p0')
    until('status says that p0 is gone', lambda: 'there is no interface p0' in a.cli('status').stdout, 8)
    cable(lab, h)
    opened(lab)
    h.reaches(lab.ip('B'), 5)
    a.host.reaches(LAN_IP, 5)
    # H is answered by A's own device alone, though A's kernel hears the question too.
    for _ in range(5):
        h.run('ip', 'neigh', 'flush', 'dev', 'e0')
        lab.equal(h.ping(lab.ip('A')), 1, 'answers of A to H')
        near = json.loads(h.run('ip', '-j', 'neigh', 'show', lab.ip('A')).stdout)
        lab.equal([mac_bytes(n['lladdr']) for n in near], [lab.tap_mac('A')], 'who A is for H')


def removed(lab):
    a = lab.nodes['A']
    lab.check(lab.nwid in a.cli('port', 'list').stdout, 'port list names the network')
    lab.check('has p0 already' in a.cli('port', 'add', lab.nwid, 'p9', code=8).stderr, 'a second port is refused')
    a.cli('port', 'remove', lab.nwid, 'p9', code=5)
    a.cli('port', 'remove', lab.nwid, 'p0')
    lab.equal(port(lab), None, 'the port after its removal')
    lab.equal(lab.hosts['H'].ping(lab.ip('B'), wait=0.3), 0, 'answers to H after the removal')
    lab.check('device of a network' in a.cli('port', 'add', lab.nwid, lab.dev('A'), code=2).stderr, 'the network\'s own device is no port')
    lab.check('no ports' in a.cli('port', 'list').stdout, 'port list says that there is none')


def run(lab):
    h = lab.host('H')
    command('ip', '-n', h.ns, 'link', 'del', 'u')  # it has no other way
    lab.start('ABD', mtu=1500)
    lab.meshed('ABD')
    cable(lab, h)
    permission(lab)
    traffic(lab)
    filtered(lab)
    restarts(lab)
    removed(lab)
