"""Shows 1, last part, and 2: multicast reaches who takes the group and nobody else. An IP group that B joins is served 100 ms later, a group that
only a packet socket joined 1.5 s later, also on a host with 300 interfaces; what was left is no longer sent. D takes no group: its device counts.
"""
import json
import signal
import socket
import struct
import subprocess
import time

from lab import Receiver, now, until
from strain import STRAIN

# One command per line: join 4|6|mac GROUP, leave GROUP. Its answer comes when the kernel did it.
MEMBER = '''
import socket, struct, sys
dev = sys.argv[1]
index, held = socket.if_nametoindex(dev), {}
print("ready", flush=True)
for line in sys.stdin:
    verb, kind, group = line.split()
    if verb == "leave":
        held.pop(group).close()
    elif kind == "4":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4) + struct.pack("=i", index))
    elif kind == "6":
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index))
    else:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        mac = bytes.fromhex(group.replace(":", ""))
        s.setsockopt(263, 1, struct.pack("=iHH8s", index, 0, 6, mac))  # SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_MULTICAST
    if verb == "join":
        held[group] = s
    print("done", flush=True)
'''
# One frame per line, sent as it is read.
SENDER = '''
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
print("ready", flush=True)
for line in sys.stdin:
    s.send(bytes.fromhex(line))
'''
IP_MS = 100
PACKET_MS = 1500
PAIRS = 150


class Helper:
    def __init__(self, host, code, dev):
        self.process = host.popen('python3', '-c', code, dev, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise RuntimeError(f'no helper on {host.name}')

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def do(self, line):
        self.tell(line)
        if self.process.stdout.readline() != 'done\n':
            raise RuntimeError(f'helper: {line}')
        return now()


def group_mac(kind, group):
    if kind == '4':
        return b'\x01\x00\x5e' + bytes([socket.inet_aton(group)[1] & 0x7f]) + socket.inet_aton(group)[2:]
    if kind == '6':
        return b'\x33\x33' + socket.inet_pton(socket.AF_INET6, group)[12:]
    return bytes.fromhex(group.replace(':', ''))


def received(lab, name):
    """Frames that its device ever gave to its host."""
    host = lab.nodes[name].host
    return json.loads(host.run('ip', '-j', '-s', 'link', 'show', lab.dev(name)).stdout)[0]['stats64']['rx']['packets']


class Field:
    def __init__(self, lab):
        self.lab = lab
        self.source = lab.tap_mac('A')
        self.sender = Helper(lab.nodes['A'].host, SENDER, lab.dev('A'))
        self.member = Helper(lab.nodes['B'].host, MEMBER, lab.dev('B'))
        self.hears = {n: Receiver(lab.nodes[n].host, lab.dev(n), 120, plain=True) for n in 'BD'}
        self.sent = 0

    def frame(self, mac):
        self.sent += 1
        return mac + self.source + b'\x88\xb5' + f'group frame {self.sent} '.encode().ljust(60, b'.')

    def send(self, mac, since, seconds=0.0):
        """One frame so long after that time, as a program that has the machine would count it."""
        frame = self.frame(mac)
        STRAIN.rest(since, seconds)
        self.sender.tell(frame.hex())
        return frame

    def copies(self, name, frame):
        return self.hears[name].frames().count(frame)

    def arrives(self, frame, what):
        try:
            until(what, lambda: self.copies('B', frame), 1)
        except Exception as error:
            self.lab.fail(str(error))


def joins(field, kind, groups, delay_ms, where):
    """Each group: joined, one frame that much later. All must come, once, and none to D."""
    lab, frames = field.lab, []
    before = received(lab, 'D')
    heard = len(field.hears['D'].frames())
    due = []
    for i, group in enumerate(groups):
        time.sleep(0.13 * (i % 3))  # not in step with a reading each second
        due.append((group_mac(kind, group), field.member.do(f'join {kind} {group}'), delay_ms / 1000))
        if delay_ms < 1000:
            frames.append(field.send(*due.pop()))
    frames += [field.send(*one) for one in due]
    for group, frame in zip(groups, frames):
        field.arrives(frame, f'{where}: a frame to {group} {delay_ms} ms after it was joined is at B')
    time.sleep(0.2)
    for group, frame in zip(groups, frames):
        lab.equal((field.copies('B', frame), field.copies('D', frame)), (1, 0), f'{where}: copies at B and at D of a frame to {group}')
    lab.equal(received(lab, 'D') - before, 0,
              f'{where}: frames received by the device of D, which takes no group: {[f.hex() for f in field.hears["D"].frames()[heard:]]}')
    lab.note(f'{where}: {len(groups)} groups, a frame {delay_ms} ms after each was joined: {sum(field.copies("B", f) == 1 for f in frames)} arrived at B, '
             f'{received(lab, "D") - before} frames at D')


def leaves(field, kind, groups, delay_ms, where):
    left = [field.member.do(f'leave {kind} {group}') for group in groups]
    frames = [field.send(group_mac(kind, group), at, delay_ms / 1000) for group, at in zip(groups, left)]
    time.sleep(0.5)
    field.lab.equal([field.copies('B', f) for f in frames], [0] * len(frames), f'{where}: frames to groups that were left {delay_ms} ms before')


def every_way(field, where, tag):
    four = [f'239.{tag}.7.{i}' for i in range(1, 6)]
    six = [f'ff15::{tag}:{i}' for i in range(1, 6)]
    macs = [f'09:00:2b:{tag:02x}:00:{i:02x}' for i in range(1, 6)]
    joins(field, '4', four, IP_MS, f'{where}, IPv4')
    joins(field, '6', six, IP_MS, f'{where}, IPv6')
    joins(field, 'mac', macs, PACKET_MS, f'{where}, packet sockets')
    leaves(field, '4', four, 300, f'{where}, IPv4')
    leaves(field, '6', six, 300, f'{where}, IPv6')
    leaves(field, 'mac', macs, PACKET_MS, f'{where}, packet sockets')


def stream(field):
    """Many to one group: the subscriber gets each once, the other none."""
    lab, group = field.lab, '09:00:2b:ff:00:01'
    STRAIN.rest(field.member.do(f'join mac {group}'), PACKET_MS / 1000)
    before, frames = received(lab, 'D'), []
    for _ in range(500):
        time.sleep(0.001)
        frames.append(field.send(group_mac('mac', group), now()))
    field.arrives(frames[-1], 'the last of 500 frames is at B')
    time.sleep(0.2)
    got = [f for f in field.hears['B'].frames() if f[:6] == group_mac('mac', group)]
    lab.equal(got, frames, '500 frames to one group, each once and in order at B')
    lab.equal(received(lab, 'D') - before, 0, 'frames of them at the device of D')
    lab.note(f'500 frames to a group: {len(got)} at B, who takes it, {received(lab, "D") - before} at D, who does not')
    return group


def sight(field, group):
    """What the command line says of it, at the member itself and elsewhere; a promiscuous device takes everything."""
    lab = field.lab
    address = {n: lab.nodes[n].address() for n in 'ABD'}

    def row(at, of):
        return next(m for m in lab.nodes[at].json('groups', lab.nwid)['members'] if m['address'] == address[of])

    own = row('B', 'B')
    lab.check(own['here'] and own['known'] and not own['all'] and group in own['groups'], f'groups of B as B sees them: {own}')
    there = row('A', 'B')
    lab.check(not there['here'] and there['known'] and group in there['groups'], f'groups of B as A sees them: {there}')
    lab.check(group not in row('A', 'D')['groups'], 'D takes that group, says A')
    table = lab.nodes['A'].cli('groups').stdout
    lab.check(any(address['B'] in line and group in line for line in table.splitlines()), f'farlan groups at A:\n{table}')
    lab.equal(lab.nodes['A'].json('fdb')['entries'], [], 'learned MACs in a network without bridges')
    d = lab.nodes['D'].host
    d.run('ip', 'link', 'set', lab.dev('D'), 'promisc', 'on')
    until('A knows that D takes all', lambda: row('A', 'D')['all'], PACKET_MS / 1000)
    frame = field.send(group_mac('mac', group), now())
    until('a frame to any group at a promiscuous device', lambda: field.copies('D', frame), 1)
    d.run('ip', 'link', 'set', lab.dev('D'), 'promisc', 'off')
    until('A knows that D no longer takes all', lambda: not row('A', 'D')['all'], PACKET_MS / 1000)
    lab.equal([field.copies(n, field_frame) for n, field_frame in (('B', frame), ('D', frame))], [1, 1], 'copies of it')


def run(lab):
    lab.start('ABD')
    lab.meshed('ABD')
    for name in 'ABD':  # or neighbours of the pings are asked for, one by one, while D's frames are counted
        lab.nodes[name].host.run('ip', 'neigh', 'flush', 'dev', lab.dev(name))
    field = Field(lab)
    every_way(field, 'few interfaces', 1)
    sight(field, stream(field))
    batch = ''.join(f'link add l{i} type veth peer name r{i}\nlink set l{i} up\nlink set r{i} up\n' for i in range(PAIRS))
    b = lab.nodes['B']
    b.process.send_signal(signal.SIGSTOP)  # so that the kernel has more to tell than its daemon's socket holds
    b.host.run('ip', '-batch', '-', input=batch)
    b.process.send_signal(signal.SIGCONT)
    links = len(json.loads(lab.nodes['B'].host.run('ip', '-j', 'link', 'show').stdout))
    lab.check(links >= 2 * PAIRS, f'B has only {links} interfaces')
    every_way(field, f'{links} interfaces', 2)
    with open(b.log, encoding='utf-8') as log:
        lab.check('at intervals only' not in log.read(), 'B no longer hears of changes from its kernel')
