"""Shows 3: questions for addresses. Among 30 idle members A resolves B without a frame to anybody else, by ARP and by neighbour discovery; what
the directory does not say still goes to all: an address nobody owns, a probe for a duplicate, and an address of nobody's credential that moves from
B to D with one announcement, IPv4 and IPv6, which A reaches there within a second."""
import re
import socket
import struct
import time

from lab import Receiver, now, until
from lab import run as command
from scenarios.forty import acquaint

ALONE = True

N = 30
A, B, D, THIRD, LAST = 'n0', 'n1', 'n2', 'n3', 'n29'
QUIET_S = 0.5
UNMANAGED = '10.77.0.200'
UNMANAGED6 = 'fd00:77::%d'
ARP, IP6 = b'\x08\x06', b'\x86\xdd'
EVERYBODY = b'\xff' * 6


def members(lab):
    """All are approved by asking; at the end every device is up and knows of all others."""
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    lab.nwid = lab.controller.cli('network', 'create', 'lab', '--ipv4', '10.77.0.0/24', '--public', 'on').stdout.split()[-1]
    names = [f'n{i}' for i in range(N)]
    for i, name in enumerate(names):
        lab.host(name, f'198.18.7.{i + 1}')
    acquaint(lab)
    for name in names:
        lab.start_node(name, ready=False)
    for name in names:
        lab.nodes[name].ready()
        lab.nodes[name].cli('join', lab.nwid, '--wait', '0', code=None)
    for name in names:
        lab.nodes[name].cli('wait', lab.nwid, '--wait', '60')
    for name in names:
        until(f'{name} knows all', lambda name=name: lab.nodes[name].network(lab.nwid)['members'] == N - 1, 20)
    return names


def neighbour(lab, name, ip):
    """The MAC its kernel has for an address."""
    line = command('ip', '-n', lab.nodes[name].host.ns, 'neigh', 'show', ip, 'dev', lab.dev(name)).stdout
    got = re.search(r'lladdr (\S+)', line)
    return got and got[1]


def mac(lab, name):
    return lab.nodes[name].network(lab.nwid)['mac']


def arp(source, op, sender, target):
    ip = socket.inet_aton
    return EVERYBODY + source + ARP + struct.pack('!HHBBH', 1, 0x800, 6, 4, op) + source + ip(sender) + bytes(6) + ip(target)


def advertisement(source, address):
    """Unsolicited, to all nodes, with O and the sender's link-layer address."""
    ip, all_nodes = socket.inet_pton(socket.AF_INET6, address), socket.inet_pton(socket.AF_INET6, 'ff02::1')
    icmp = struct.pack('!BBHI', 136, 0, 0, 0x20000000) + ip + b'\x02\x01' + source
    words = struct.unpack('!36H', ip + all_nodes + struct.pack('!II', len(icmp), 58) + icmp)
    total = sum(words)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    icmp = icmp[:2] + struct.pack('!H', ~total & 0xffff) + icmp[4:]
    return b'\x33\x33\x00\x00\x00\x01' + source + IP6 + struct.pack('!IHBB', 0x60000000, len(icmp), 58, 255) + ip + all_nodes + icmp


def questions(frames):
    """ARP requests and neighbour solicitations."""
    return [f for f in frames if (f[12:14] == ARP and f[21] == 1) or (f[12:14] == IP6 and len(f) > 54 and f[20] == 58 and f[54] == 135)]


def of(frames, source, ip):
    packed = socket.inet_pton(socket.AF_INET6 if ':' in ip else socket.AF_INET, ip)
    return [f for f in questions(frames) if f[6:12] == source and (f[62:78] if ':' in ip else f[38:42]) == packed]


def resolves(lab, witnesses):
    """A pings B, both families: nobody hears a question, B neither."""
    a = lab.nodes[A].host
    for version in (4, 6):
        ip = lab.ip(B, version)
        lab.equal(neighbour(lab, A, ip), None, f'{A} has {ip} already')
        before = now()
        lab.check(a.ping(ip, wait=5) == 1, f'no answer from {ip}')
        lab.note(f'first ping of {ip}: {(now() - before) * 1000:.0f} ms')
        lab.equal(neighbour(lab, A, ip), mac(lab, B), f'MAC of {ip} at {A}')
    time.sleep(QUIET_S)
    for name, witness in witnesses.items():
        lab.equal(len(questions(witness.frames())), 0, f'questions heard at {name} while {A} resolved {B}')


def unknown(lab, witnesses):
    """What nobody owns is asked of all, and so is whether anybody uses an address: the witnesses are not deaf."""
    a, own = lab.nodes[A].host, lab.tap_mac(A)
    a.ping('10.77.0.250')
    a.send(lab.dev(A), arp(own, 1, '0.0.0.0', lab.ip(B)))
    for name, witness in witnesses.items():
        until(f'{name} hears of 10.77.0.250', lambda w=witness: of(w.frames(), own, '10.77.0.250'), 5)
        until(f'{name} hears the probe', lambda w=witness: of(w.frames(), own, lab.ip(B)), 5)
        lab.equal(len(of(witness.frames(), own, lab.ip(B))), 1, f'probes at {name}')


def moves(lab, ip, announcement):
    """An address of no credential, at B and then at D, who announces it once."""
    hosts = {name: lab.nodes[name].host for name in (A, B, D)}
    extra = ['nodad'] if ':' in ip else []
    width = 64 if ':' in ip else 24
    command('ip', '-n', hosts[B].ns, 'addr', 'add', f'{ip}/{width}', 'dev', lab.dev(B), *extra)
    hosts[A].reaches(ip, 5)
    lab.equal(neighbour(lab, A, ip), mac(lab, B), f'MAC of {ip} at first')
    time.sleep(1.2)  # the kernel believes no news of an entry within a second of the last (locktime)
    command('ip', '-n', hosts[B].ns, 'addr', 'del', f'{ip}/{width}', 'dev', lab.dev(B))
    command('ip', '-n', hosts[D].ns, 'addr', 'add', f'{ip}/{width}', 'dev', lab.dev(D), *extra)
    lab.equal(hosts[A].ping(ip), 0, f'answers of {ip} while nobody said that it moved')
    begun = now()
    hosts[D].send(lab.dev(D), announcement)
    until(f'{ip} answers at {D}', lambda: hosts[A].ping(ip, wait=0.2), 3)
    lab.within(now() - begun, 1.0, f'{ip}: announcement to answer')
    lab.equal(neighbour(lab, A, ip), mac(lab, D), f'MAC of {ip} at last')


def run(lab):
    begun = now()
    members(lab)
    lab.note(f'{N} members up after {now() - begun:.1f} s')
    time.sleep(3)  # the kernels' own first words about their addresses
    witnesses = {name: Receiver(lab.nodes[name].host, lab.dev(name)) for name in (B, THIRD, LAST)}
    resolves(lab, witnesses)
    unknown(lab, witnesses)
    for witness in witnesses.values():
        witness.stop()
    moves(lab, UNMANAGED, arp(lab.tap_mac(D), 1, UNMANAGED, UNMANAGED))
    command('ip', '-n', lab.nodes[A].host.ns, 'addr', 'add', f'{UNMANAGED6 % 1}/64', 'dev', lab.dev(A), 'nodad')
    moves(lab, UNMANAGED6 % 200, advertisement(lab.tap_mac(D), UNMANAGED6 % 200))
