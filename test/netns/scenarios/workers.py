"""One worker or several, other ciphers, no offloads: what arrives is the same, and nothing twice although the wire doubles frames.

A's wire doubles every fifth frame and lets some be overtaken, but loses none. Each setting is a start of both members with it. With
several workers the same traffic passes once more with the steering program taken from the sockets and dice put in its place: then
the datagrams of one lane, and a datagram and its double, come to different workers at the same time.
"""
import collections
import concurrent.futures
import contextlib
import ctypes
import errno
import json
import os
import socket
import stat
import struct
import time

from lab import Failure, Receiver, mac_bytes, now, tool, until
from scenarios.offload import OFFLOADS, PORT, TRIES, Ended, Network, gap_us, seed_of, size, stream
from scenarios.suites import configured, cpu_has

ALONE = True

SETTINGS = [  # workers of A, of B, the lines of both configs
    (1, 1, ''),
    (2, 2, ''),
    (4, 4, ''),
    (4, 1, ''),
    (2, 2, 'offload = none\naffinity = none'),
    (2, 2, 'suite = chacha'),
    (2, 2, 'backend = libsodium'),
]
STREAMS = [(f'stream {i}', (1 << 20) + 1000 * i, write, 'n' if write == 0 else '-', 0) for i, write in enumerate((65536, 0, 1400, 8192))]
ROUNDS, SPECS = 8, ['64*60', '1200*30', '1200x20']
WANTED = ROUNDS * (60 + 30 + 20)
ETHERTYPE = b'\x88\xb5'
LOAD = 48 << 20  # bytes each way
RAW, AWAKE = 200, 12  # frames of one conversation; how often a worker has slept between them, if they came to it
SLEEPS = 4  # tries of that
LATE = {'beacon', 'ctrl-dup', 'init-replay', 'leg-replay', 'stranger', 'leg-dead'}  # what doubles of handshakes, of answers and of packets of before the restart are
SYS_PIDFD_GETFD = 438
SO_ATTACH_REUSEPORT_CBPF = 51
DICE = 0xfffff000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM


def sockets(daemon):
    """The daemon's own UDP sockets, as descriptors of ours."""
    syscall, pid = ctypes.CDLL(None, use_errno=True).syscall, os.pidfd_open(daemon.process.pid)
    try:
        for name in os.listdir(f'/proc/{daemon.process.pid}/fd'):
            fd = syscall(SYS_PIDFD_GETFD, pid, int(name), 0)
            if fd < 0 and ctypes.get_errno() == errno.EBADF:
                continue  # closed since
            if fd < 0:
                raise Failure(f'pidfd_getfd: {os.strerror(ctypes.get_errno())}')
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)
                continue
            with socket.socket(fileno=fd) as one:
                if one.type == socket.SOCK_DGRAM and one.family in (socket.AF_INET, socket.AF_INET6):
                    yield one
    finally:
        os.close(pid)


def scatter(daemon, workers):
    """Datagrams come to a worker by chance from now on: A = random % workers; return A."""
    code = struct.pack('=HBBIHBBIHBBI', 0x20, 0, 0, DICE, 0x94, 0, 0, workers, 0x16, 0, 0, 0)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack('@HP', 3, ctypes.addressof(kept))
    groups = 0
    for one in sockets(daemon):
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
            groups += 1
    if not groups:
        raise Failure(f'{daemon.host.name} has no group of sockets')


def threads(daemon):
    """Its workers' threads: name and folder."""
    tasks = f'/proc/{daemon.process.pid}/task'
    for task in os.listdir(tasks):
        with open(f'{tasks}/{task}/comm', encoding='ascii') as file:
            name = file.read().strip()
        if name.startswith('worker-'):
            yield name, f'{tasks}/{task}'


def turns(daemon):
    """How often each worker has slept until something came."""
    told = {}
    for name, folder in threads(daemon):
        with open(f'{folder}/status', encoding='ascii') as file:
            fields = dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)
        told[name] = int(fields['voluntary_ctxt_switches'])
    return told


def beside(*jobs):
    """All at the same time; what they return, or the first error."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [job.result() for job in [pool.submit(job) for job in jobs]]


def flow(net, frm, to, port, gap):
    """One flow of datagrams; what the receiver tells of it."""
    hosts, seed = net.lab.hosts, seed_of(f'{frm}{port}')
    there = Ended(hosts[to], 'streams', 'udp-recv', port, seed, WANTED)
    sent = json.loads(hosts[frm].run(tool('streams'), 'udp-send', net.ip(to, 4), port, seed, ROUNDS, gap, *SPECS).stdout)
    if sent['datagrams'] != WANTED:
        raise Failure(f'{sent["datagrams"]} datagrams sent, not {WANTED}')
    time.sleep(0.1)  # a double of the last one is to be seen
    return there.end()


def kernel(daemon):
    """What the kernel of a member's host counts: drops of devices, errors of UDP and IP."""
    told = {}
    with open(f'/proc/{daemon.process.pid}/net/dev', encoding='ascii') as file:
        for line in list(file)[2:]:
            name, fields = line.split(':')[0].strip(), line.split(':')[1].split()
            told |= {f'{name} rx-drop': int(fields[3]), f'{name} tx-drop': int(fields[11])}
    with open(f'/proc/{daemon.process.pid}/net/snmp', encoding='ascii') as file:
        rows = [line.split() for line in file]
    for names, values in zip(rows[::2], rows[1::2]):
        if names[0] in ('Ip:', 'Udp:'):
            told |= {f'{names[0]} {name}': int(n) for name, n in zip(names[1:], values[1:]) if 'Err' in name or 'Discard' in name}
    return told


def datagrams(lab, net, where):
    """Two flows each way. All must come in one of a few tries; a second copy or a wrong byte is never right."""
    for again in range(TRIES):
        ways = [(*way, 7100 + 10 * again + i) for i, way in enumerate(('AB', 'BA', 'AB', 'BA'))]
        before = {name: kernel(lab.nodes[name]) for name in 'AB'}
        got = beside(*(lambda way=way: flow(net, *way, gap_us(again)) for way in ways))
        for way, one in zip(ways, got):
            lab.equal((one['twice'], one['bad']), (0, 0), f'{where}, {way[0]} to {way[1]}: datagrams accepted twice, and wrong ones')
        came = [one['datagrams'] for one in got]
        if min(came) >= WANTED:
            break
        more = {f'{name} {k}': n - before[name].get(k, 0) for name in 'AB' for k, n in kernel(lab.nodes[name]).items() if n > before[name].get(k, 0)}
        lab.note(f'{where}: {came} datagrams of {WANTED} came, try {again + 1}; the kernel counted {more}')
    lab.equal(came, [WANTED] * len(ways), f'{where}: datagrams of each flow')


def conversation(lab, net, frm, to, destination, where, gap):
    """Frames that are no IP from one member to another: all of them come, once. How often each worker of the receiver slept meanwhile."""
    node, source = lab.nodes[to], mac_bytes(lab.nodes[frm].network(net.nwid)['mac'])
    receiver = Receiver(lab.hosts[to], net.dev(to), 60, ETHERTYPE.hex())
    sent = [(destination + source + ETHERTYPE + struct.pack('!I', i)).ljust(60 + 4 * i, b'%c' % (i & 255)) for i in range(RAW)]
    before = turns(node)
    lab.hosts[frm].send(net.dev(frm), *sent, gap_us=gap)
    try:
        until('every frame is there', lambda: len(receiver.got) >= RAW, 3)
    except Failure:
        pass  # what is missing is told below
    time.sleep(0.1)
    woken = [n - before[name] for name, n in turns(node).items()]
    got = collections.Counter(receiver.stop())
    lab.equal((len(set(sent) - set(got)), len(set(got) - set(sent)), sum(n > 1 for n in got.values())), (0, 0, 0),
              f'{where}: frames of {ETHERTYPE.hex()} missing, unknown, twice')
    return woken


def frames(lab, net, frm, to, where, dice):
    """To one member and to all: each a conversation of one lane, so one worker of the receiver gets it; by dice all do. A worker that got
    its processor late finds many frames at once and sleeps less: before that counts, there are longer gaps between them."""
    mac = mac_bytes(lab.nodes[to].network(net.nwid)['mac'])
    for what, destination in ((f'{frm} to {to}', mac), (f'{frm} to all', b'\xff' * 6)):
        for again in range(SLEEPS):
            woken = conversation(lab, net, frm, to, destination, f'{where}, {what}', 800 * 3**again)
            busy, wanted = sum(n >= AWAKE for n in woken), len(woken) if dice else 1
            if busy == wanted:
                break
            lab.note(f'{where}, {what}: {busy} workers got frames; how often each slept: {woken}, try {again + 1}')
        lab.equal(busy, wanted, f'{where}, {what}: workers that got frames; how often each slept: {woken}')


def streams(lab, net, where, reference):
    """Four at once, of both families: four conversations that a pair may spread over its lanes."""
    kept = {}
    beside(*(lambda i=i, row=row: stream(lab, lab.hosts['A'], net.ip('B', 6 if i % 2 else 4), row, where, kept) for i, row in enumerate(STREAMS)))
    for (_, name), told in kept.items():
        hashes = [told[way]['hash'] for way in ('up', 'down')]
        lab.equal(hashes, reference.setdefault(name, hashes), f'{where}: {name}: hashes of both ways')
    lab.equal(len(kept), len(STREAMS), f'{where}: streams that came to their end')


def cores(daemon):
    """On how many cores workers may run: the numbers that occur."""
    return {len(os.sched_getaffinity(int(os.path.basename(folder)))) for _, folder in threads(daemon)}


def capacities():
    """Of the cores we may use, where the kernel tells."""
    told = set()
    for core in os.sched_getaffinity(0):
        with contextlib.suppress(OSError), open(f'/sys/devices/system/cpu/cpu{core}/cpu_capacity', encoding='ascii') as file:
            told.add(file.read())
    return told


def keeps(lab, net, where, auto):
    """Under a load a worker of the sender keeps to one core, and to none a second after it; without affinity it never does."""
    node, every, kept = lab.nodes['A'], len(os.sched_getaffinity(0)), False
    if every == 1 or os.path.exists('/sys/devices/cpu_atom') or len(capacities()) > 1:
        lab.note(f'{where}: one core only, or cores of two kinds: none is kept to')
        return
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        load = pool.submit(stream, lab, lab.hosts['A'], net.ip('B', 4), ('load', LOAD, 65536, '-', 0), where, {})
        while not load.done():
            kept = kept or 1 in cores(node)
            time.sleep(0.02)
        load.result()
    lab.equal(kept, auto, f'{where}: a worker kept to one core under a load')
    until('no worker keeps to a core', lambda: cores(node) == {every})


def traffic(lab, net, where, reference, dice=False):
    wire = lab.hosts['A'].wire.counters()  # first here and last below: what is doubled in between is at most this
    before = {name: lab.nodes[name].drops() for name in 'AB'}
    streams(lab, net, where, reference)
    datagrams(lab, net, where)
    for frm, to in ('AB', 'BA'):
        frames(lab, net, frm, to, where, dice and len(turns(lab.nodes[to])) > 1)
    last = {name: lab.nodes[name].drops() for name in 'AB'}
    doubled = {to: lab.hosts['A'].wire.counters()[side]['duplicated'] - wire[side]['duplicated'] for to, side in (('B', 'a'), ('A', 'b'))}
    for name, after in last.items():
        more = {k: n - before[name].get(k, 0) for k, n in after.items() if n > before[name].get(k, 0)}
        replays = more.pop('replay', 0)
        lab.check(doubled[name] / 2 < replays <= doubled[name], f'{where}: {name} dropped {replays} replays, the wire doubled {doubled[name]}')
        lab.note(f'{where}: {name} dropped {replays} replays of {doubled[name]} doubles')
        lab.check(more.pop('send', 0) <= 100, f'{where}: datagrams of {name} that the kernel refused: {after}')  # probes of a path's size
        lab.equal({k: n for k, n in more.items() if k not in LATE}, {}, f'{where}: other drops at {name}')


def as_configured(lab, net, workers, text, where):
    for one, other in ('AB', 'BA'):
        node, address = lab.nodes[one], lab.nodes[other].address()
        lab.equal(len(turns(node)), workers[one], f'{where}: workers of {one}')
        peer = next(p for p in node.json('peers')['peers'] if p['address'] == address)
        if 'suite' in text or not cpu_has('aes', 'pclmulqdq'):
            lab.equal(peer['suite'], 'chacha20-poly1305', f'{where}: suite of {one}')
        else:
            lab.equal(peer['suite'], 'aes256-gcm', f'{where}: suite of {one}')
        if 'backend' in text:
            lab.equal(peer['backend'], 'libsodium', f'{where}: backend of {one}')
        if 'offload' in text:
            offered = net.features(one)
            lab.check(not any(offered[k] for k in OFFLOADS), f'{where}: offloads of the device of {one}: {offered}')


def restart(lab, net, workers, text):
    for name in 'AB':
        lab.nodes[name].stop()
        configured(lab, name, text + '\n')
        lab.nodes[name].options = ['--add-root', lab.root_line, '--workers', workers[name]]
        lab.nodes[name].start(ready=False)
    for name in 'AB':
        lab.nodes[name].ready()
    net.up()
    for one, other in ('AB', 'BA'):
        until(f'{one} knows the size of its path to {other}', lambda one=one, other=other: size(lab, one, other) == 1472, 15)


def run(lab):
    lab.start_root()
    lab.start_controller()
    lab.host('A', wire=['--mtu 1500', '--seed 11'])
    for name in 'AB':
        lab.start_node(name)
    lab.controller.online()
    net = Network(lab, 0, 1400)
    lab.nwid = net.nwid
    for name in 'AB':
        lab.join(name)
    server, reference, began = Ended(lab.hosts['B'], 'streams', 'serve', PORT), {}, now()
    lab.hosts['A'].wire.set('--duplicate 20%', '--reorder 3%')
    for a, b, text in SETTINGS:
        workers, where = {'A': a, 'B': b}, ', '.join([f'workers {a} and {b}', *text.splitlines()])
        restart(lab, net, workers, text)
        as_configured(lab, net, workers, text, where)
        traffic(lab, net, where, reference)
        if (a, b) == (1, 1) or 'affinity' in text:
            keeps(lab, net, where, 'affinity' not in text)
        if a > 1 and not text:
            for name in 'AB':
                if workers[name] > 1:
                    scatter(lab.nodes[name], workers[name])
            traffic(lab, net, f'{where}, by dice', reference, dice=True)
        lab.note(f'{where}: after {now() - began:.0f} s')
    count = lab.hosts['A'].wire.counters()
    lab.check(all(count[side]['reordered'] > 100 and count[side]['lost'] == 0 for side in 'ab'), f'the wire reordered and lost nothing: {count}')
    server.end()
