"""The wire itself: what it says it does to frames is what comes out at the other end."""
import json
import math
import struct
import subprocess

from lab import Host, Receiver, Wire, now, run as command, tool, until

ALONE = True

TYPE = b'\x88\xb5'
HEAD = b'\x02\0\0\0\0\x0b' + b'\x02\0\0\0\0\x0a'
BATCH = 4000  # the frames tool takes 4096 at once


def numbered(n, size=60):
    """Frames of their own number."""
    return [(HEAD + TYPE + struct.pack('!I', i)).ljust(size, b'%c' % (i & 255)) for i in range(n)]


class Bench:
    """Two namespaces and a wire between their devices w; no other frame on it: IPv6 is off."""

    def __init__(self, lab):
        self.lab = lab
        self.hosts = [Host(lab, name, None) for name in ('left', 'right')]
        for host in self.hosts:
            host.run('sysctl', '-q', '-w', 'net.ipv6.conf.default.disable_ipv6=1', 'net.ipv6.conf.all.disable_ipv6=1')
        self.wire = None

    def connect(self, *options):
        if self.wire:
            self.wire.stop()
        self.wire = Wire(self.lab, self.hosts[0].ns, 'w', self.hosts[1].ns, 'w', *options)

    def through(self, frames, gap_us=0):
        """What arrives at the right of frames sent at the left, as (when, frame), the counters of a, and when sending began."""
        receiver = Receiver(self.hosts[1], 'w', 60, TYPE.hex())
        began = now()
        for at in range(0, len(frames), BATCH):
            self.hosts[0].send('w', *frames[at:at + BATCH], gap_us=gap_us)

        def all_through():
            count = self.wire.counters()['a']
            return not count['waiting'] and count['frames'] == len(frames) and count
        count = until('every frame through the wire', all_through, 20)
        until('every frame printed', lambda: len(receiver.got) >= count['forwarded'], 10)
        receiver.stop()
        return list(receiver.got), count, began


def number(frame):
    return struct.unpack_from('!I', frame, 14)[0]


def plausible(lab, got, n, chance, what):
    """Within five standard deviations: by luck alone once in two million runs; and the seed is fixed."""
    spread = 5 * math.sqrt(n * chance * (1 - chance))
    lab.check(abs(got - n * chance) <= spread, f'{what}: {got} of {n}, wanted {n * chance:.0f} +- {spread:.0f}')


def nothing(lab, bench):
    bench.connect()
    frames = numbered(8000)
    got, count, _ = bench.through(frames)
    lab.check([f for _, f in got] == frames, f'an even wire: {len(got)} of 8000 in order')
    lab.equal({k: n for k, n in count.items() if n}, {'frames': 8000, 'forwarded': 8000}, 'counters of an even wire')


def loss(lab, bench):
    frames, lost = numbered(12000), []
    for seed in (7, 7, 8):
        bench.connect('--loss 3%', '--b-loss 100%', f'--seed {seed}')
        got, count, _ = bench.through(frames)
        came = [number(f) for _, f in got]
        lost.append(set(range(12000)) - set(came))
        lab.equal(came, sorted(set(came)), 'frames under loss: their order')
        lab.equal(count['lost'], len(lost[-1]), 'frames lost, counted and missing')
        plausible(lab, len(lost[-1]), 12000, 0.03, 'loss of 3 %')
    lab.equal(lost[0], lost[1], 'frames lost with the same seed')
    lab.check(lost[0] != lost[2], 'other frames are lost with another seed')
    bench.hosts[1].send('w', *numbered(10))
    until('ten frames into the other direction', lambda: bench.wire.counters()['b']['frames'] == 10, 5)
    lab.equal(bench.wire.counters()['b']['lost'], 10, 'the other direction has its own loss')


def reorder_and_duplicate(lab, bench):
    bench.connect('--reorder 2%')
    got, count, _ = bench.through(numbered(8000))
    came = [number(f) for _, f in got]
    lab.equal(sorted(came), list(range(8000)), 'reordering loses and adds nothing')
    highest, late, far = -1, 0, 0
    for n in came:
        late += n < highest
        far = max(far, highest - n)
        highest = max(highest, n)
    lab.equal(late, count['reordered'], 'frames overtaken, counted and seen')
    plausible(lab, late, 8000, 0.02, 'reordering of 2 %')
    lab.check(1 <= far <= 10, f'a frame is overtaken by a few, not by {far}')
    bench.connect('--duplicate 2%')
    got, count, _ = bench.through(numbered(8000))
    came = [number(f) for _, f in got]
    lab.check(came == sorted(came) and set(came) == set(range(8000)), 'duplicates follow their frame')
    lab.equal(len(came) - 8000, count['duplicated'], 'duplicates, counted and seen')
    plausible(lab, count['duplicated'], 8000, 0.02, 'duplication of 2 %')


def delay(lab, bench):
    left, right = bench.hosts
    bench.connect('--a-delay 30ms', '--b-delay 10ms')
    for host, address in ((left, '10.9.0.1/24'), (right, '10.9.0.2/24')):
        command('ip', '-n', host.ns, 'addr', 'add', address, 'dev', 'w')
    left.reaches('10.9.0.2', 5)

    def times(count=30):
        out = left.run('ping', '-n', '-c', count, '-i', '0.01', '-W', '2', '10.9.0.2').stdout
        return [float(line.split('time=')[1].split()[0]) for line in out.splitlines() if 'time=' in line]
    rtt = times()
    lab.equal(len(rtt), 30, 'answers under delay')
    lab.check(min(rtt) >= 39.9 and sorted(rtt)[15] <= 45, f'30 and 10 ms: {min(rtt):.1f} to {max(rtt):.1f} ms, {sorted(rtt)[15]:.1f} in the middle')
    lab.note(f'30 + 10 ms: ping {sorted(rtt)[15]:.2f} ms')
    bench.wire.set('--delay 20ms', '--jitter 10ms')
    rtt = times(40)
    lab.check(19.9 <= min(rtt) and max(rtt) - min(rtt) > 5, f'20 +- 10 ms each way: {min(rtt):.1f} to {max(rtt):.1f} ms')
    lab.check(sorted(rtt)[20] <= 65, f'20 +- 10 ms each way: {sorted(rtt)[20]:.1f} ms in the middle')
    bench.wire.set('--delay 0ms', '--jitter 0ms')
    rtt = times()
    lab.check(sorted(rtt)[15] < 10, f'no delay any more: {sorted(rtt)[15]:.1f} ms')
    bench.connect('--delay 5ms', '--jitter 5ms')
    got, _, _ = bench.through(numbered(4000), gap_us=20)
    lab.equal([number(f) for _, f in got], list(range(4000)), 'jitter alone reorders nothing')


def mtu_and_rate(lab, bench):
    bench.connect('--mtu 1500', '--dev-mtu 9000', '--b-mtu 9000')
    frames = [f[:14] + f[14:].ljust(size, b'.') for f, size in zip(numbered(4), (1500, 1501, 9000, 1500))]
    tagged = [HEAD + b'\x81\0\0\x2a' + f[12:14] + f[14:].ljust(size, b'.') for f, size in zip(numbered(2), (1500, 1501))]
    receiver = Receiver(bench.hosts[1], 'w')
    bench.hosts[0].send('w', *frames, *tagged)
    until('six frames at the wire', lambda: bench.wire.counters()['a']['frames'] == 6, 5)
    until('three frames behind it', lambda: len(receiver.got) >= 3, 5)
    lab.equal([len(f) for f in receiver.stop()], [1514, 1514, 1518], 'frames within an MTU of 1500')
    lab.equal(bench.wire.counters()['a']['too_long'], 3, 'frames too long, counted')
    back = Receiver(bench.hosts[0], 'w')
    bench.hosts[1].send('w', frames[2])
    until('a long frame the other way', lambda: [len(f) for f in back.frames()] == [9014], 5)
    back.stop()
    # 500 frames of 1250 bytes are 5 Mbit: half a second at 10 Mbit/s
    bench.connect('--rate 10mbit', '--queue 1s')
    got, count, began = bench.through(numbered(500, 1250))
    lab.equal([number(f) for _, f in got], list(range(500)), 'frames at a rate, with room to wait')
    lab.check(0.49 <= got[-1][0] - began <= 1.5, f'5 Mbit at 10 Mbit/s took {got[-1][0] - began:.2f} s')
    # with room for 50 ms only that much is taken of a burst, and 1 ms per frame that leaves while it arrives
    bench.connect('--rate 10mbit', '--queue 50ms')
    got, count, _ = bench.through(numbered(500, 1250))
    came = [number(f) for _, f in got]
    lab.equal(len(came) + count['tail_dropped'], 500, 'frames that came and those dropped at the tail')
    lab.check(50 <= len(came) <= 250 and came == sorted(came), f'a queue of 50 ms let {len(came)} of 500 through')


def commands(lab, bench):
    bench.connect()
    bench.wire.set('--loss 100%')
    try:
        bench.wire.set('--loss 0%', '--delay forever')
        lab.fail('nonsense was taken')
    except Exception as error:
        lab.check('--delay wants a time' in str(error), f'an error on standard input: {error}')
    bench.hosts[0].send('w', *numbered(10))
    until('frames after a wrong line', lambda: bench.wire.counters()['a']['frames'] == 10, 5)
    lab.equal(bench.wire.counters()['a']['lost'], 10, 'a wrong line changed nothing')
    last = bench.wire.stop()
    lab.equal((last['a']['frames'], last['b']['frames']), (10, 0), 'the last counters')
    bench.wire = None
    devices = ['--a-dev', 'x', '--b-dev', 'y']
    for wrong, word in (([], 'needed'), (['--a-dev', 'x'], 'needed'), ([*devices, '--loss', '5'], '--loss wants a chance'),
                        ([*devices, '--loss', '101%'], 'not 101%'), ([*devices, '--delay', '10'], '--delay wants a time'),
                        ([*devices, '--rate', '-1mbit'], '--rate wants a rate'), ([*devices, '--mtu', '20'], '--mtu wants'),
                        ([*devices, '--los', '1%'], 'no option --los'), ([*devices, '--a-jitter'], '--jitter wants'),
                        ([*devices, 'loss'], 'loss is no option'), ([*devices, '--seed', 'x'], '--seed wants a number'),
                        ([*devices, '--a-netns'], '--a-netns wants a name'), ([*devices, '--a-dev', 'x' * 16], '--a-dev wants a name')):
        done = command(tool('wire'), *wrong, code=2, timeout=5)
        lab.check(word in done.stderr and not done.stdout, f'wire {" ".join(wrong)}: {done.stderr.splitlines()[:1]}')
    done = command(tool('wire'), '--a-netns', 'farlan-none', *devices, code=1, timeout=5)
    lab.check('farlan-none' in done.stderr, f'a namespace that is not there: {done.stderr}')


def folded(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp_frame(payload, wrong=None):
    """IPv4 UDP with right checksums, or one of ip, udp, length wrong."""
    source, destination = bytes((10, 9, 0, 1)), bytes((10, 9, 0, 3))
    udp = struct.pack('!HHHH', 9, 9, 8 + len(payload) + (wrong == 'length') * 2, 0) + payload
    pseudo = source + destination + struct.pack('!HH', 17, 8 + len(payload))
    udp = udp[:6] + struct.pack('!H', (folded(pseudo + udp) or 0xffff) ^ (wrong == 'udp')) + payload
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + source + destination
    ip = ip[:10] + struct.pack('!H', folded(ip) ^ (wrong == 'ip')) + ip[12:]
    return HEAD + b'\x08\x00' + ip + udp


def judges(lab, bench):
    """The tools that judge other scenarios find what is wrong."""
    bench.connect('--dev-mtu 9000', '--mtu 9000')
    for host, address in zip(bench.hosts, ('10.9.0.1/24', '10.9.0.2/24')):
        command('ip', '-n', host.ns, 'addr', 'add', address, 'dev', 'w')
    left, right = bench.hosts

    def started(*argv):
        process = right.popen(tool(argv[0]), *argv[1:], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        return process

    def told(process):
        process.terminate()
        return json.loads(process.communicate(timeout=10)[0])
    witness = started('witness', 'w', 1000, 'in')
    left.send('w', *[udp_frame(bytes(n)) for n in (100, 970, 972, 974)], *[udp_frame(bytes(100), wrong) for wrong in ('ip', 'udp', 'udp', 'length')])
    until('eight frames at the wire', lambda: bench.wire.counters()['a']['forwarded'] >= 8, 5)
    seen = told(witness)
    lab.equal({k: seen[k] for k in ('frames', 'longer', 'longest', 'udp', 'bad_ip', 'bad_l4', 'malformed')},
              {'frames': 8, 'longer': 1, 'longest': 1016, 'udp': 7, 'bad_ip': 1, 'bad_l4': 2, 'malformed': 1}, 'what the witness says of eight frames')
    for seed, bad in ((1, 0), (2, 12)):
        receiver = started('streams', 'udp-recv', 7001, seed, 12)
        sent = json.loads(left.run(tool('streams'), 'udp-send', '10.9.0.2', 7001, 1, 1, 0, '500x6+20', '20*5').stdout)
        got = told(receiver)
        lab.equal((got['datagrams'], got['bad'], got['hash'] == sent['hash']), (12, bad, True), f'datagrams of seed 1 for a receiver that wants seed {seed}')


def throughput(lab, bench):
    """What it carries when nothing impairs; the floor is low, for a machine that does other things at the same time."""
    bench.connect()
    for host, address in zip(bench.hosts, ('10.9.0.1/24', '10.9.0.2/24')):
        command('ip', '-n', host.ns, 'addr', 'add', address, 'dev', 'w')
    server = bench.hosts[1].popen(tool('streams'), 'serve', 7000, stdout=subprocess.PIPE)
    server.stdout.readline()
    done = json.loads(bench.hosts[0].run(tool('streams'), 'tcp', '10.9.0.2', 7000, 1, 32 << 20, 65536, '-', 0).stdout)
    server.terminate()
    lab.equal((done['up']['bad'], done['down']['bad'], done['up']['received'], done['down']['received']), (-1, -1, 32 << 20, 32 << 20), 'streams by the wire')
    rate = 2 * (32 << 20) * 8 / done['ms'] / 1e6
    lab.note(f'{rate:.2f} Gbit/s both ways together, {done["retransmitted"]} segments sent again')
    lab.check(rate >= 0.2 / lab.slow, f'the wire carries {rate:.2f} Gbit/s')


def run(lab):
    bench = Bench(lab)
    for part in (nothing, loss, reorder_and_duplicate, delay, mtu_and_rate, commands, judges, throughput):
        part(lab, bench)
