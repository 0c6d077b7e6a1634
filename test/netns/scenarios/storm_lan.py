"""Shows 8, storm: a member whose daemon limits nothing (lawless) sends 20 000 broadcasts a second. B's device gets at most 2 000 a second of them, each of
the rest costs B at most 1.5 us once it is taken from the kernel (perf; without perf only a coarse limit on all of its user time is checked, and
`make turn` tells the rest) and is counted against its sender, and what others send keeps nine tenths of the speed it has while the same frames go to nobody. A lawful member
cannot send more than 1 000 a second in the first place.

The transfers keep to a pace of 64 Mbit/s, so that they measure B and not what else this machine has to do for the flood.
"""
import itertools
import json
import os
import re
import shutil
import signal
import statistics
import subprocess

from lab import Failure, SLOW, now, run as run_host, tool
from measure import Server, Transfer, whole
from scenarios.guards import lawless

ALONE = True

RATE = 20000 // SLOW
LIMIT, BURST = 2000, 4000
FLOOD_S = 6
PACE = 8000000
SIZE = 16 << 20
RUNS = 2
SHARE = 0.9
DROP_US = 1.5
USER_US = 5  # with system calls and a timer tick for a clock
EVERYBODY, NOBODY = 'ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01'
RECEIVING = ('worker_run', 'worker_turn', 'udp_recv', 'read_socket', 'read_streams', 'udp_sockets', 'outbound_turn', 'tap_read')
flows = itertools.count(9000)


class Flood:
    """Numbered frames of a member to one MAC."""

    def __init__(self, lab, name, to, seconds, rate=RATE):
        self.flow = next(flows)
        self.seconds, self.ears = seconds, None
        self.argv = (tool('numbered'), 'send', lab.dev(name), to, self.flow, rate, seconds, 60)
        self.host = lab.nodes[name].host

    def heard_by(self, lab, name):
        self.ears = lab.nodes[name].host.popen(tool('numbered'), 'recv', lab.dev(name), self.flow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.ears.stderr.readline() != 'ready\n':
            raise Failure(f'numbered recv on {name}: {self.ears.stderr.read()}')
        return self

    def start(self):
        self.begun = now()
        self.process = self.host.popen(*self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def end(self, early=False):
        """How many were sent, how many came to the one that listens."""
        if early:
            self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        self.took = now() - self.begun
        if self.process.returncode != 0:
            raise Failure(f'numbered send: exit {self.process.returncode}: {err}')
        if not self.ears:
            return json.loads(out)['sent'], None
        self.host.run('sleep', '0.5')
        self.ears.send_signal(signal.SIGTERM)
        got = json.loads(self.ears.communicate(timeout=20)[0])
        if got['socket_drops']:
            raise Failure(f'the listener itself dropped {got["socket_drops"]} frames')
        return json.loads(out)['sent'], got['received']


def counted(lab, name):
    """Of storm drops: what B counts against a member."""
    members = lab.nodes['B'].json('drops', lab.nwid)['members']
    return next((m['drops'].get('storm', 0) for m in members if m['address'] == lab.nodes[name].address()), 0)


def cpu_s(daemon):
    """Of all its threads, in user space and in the kernel."""
    with open(f'/proc/{daemon.process.pid}/stat', encoding='ascii') as file:
        words = file.read().rsplit(')', 1)[1].split()
    tick = os.sysconf('SC_CLK_TCK')
    return int(words[11]) / tick, int(words[12]) / tick


class Perf:
    """Where a daemon's time goes: samples of its processor time by the function they fell into."""

    def __init__(self, lab, daemon):
        self.file = os.path.join(lab.folder, 'perf.data')
        self.process = subprocess.Popen(['perf', 'record', '-q', '-e', 'cpu-clock', '-F', '4999', '-p', str(daemon.process.pid), '-o', self.file],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        lab.processes.append(self.process)
        daemon.host.run('sleep', '1')

    def own_s(self):
        """Seconds in the daemon itself and its ciphers; and of those, without what waits for packets and takes them from the kernel, which happens
        before anybody can know what they are."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        told = run_host('perf', 'report', '-i', self.file, '--no-children', '--sort', 'dso,symbol').stdout
        total = re.search(r'Event count \(approx\.\): (\d+)', told)
        rows = re.findall(r'^ *([\d.]+)% +(farland|libsodium|libIPSec)\S* +\[\.\] (\S+)', told, re.M)
        if not total or not rows:
            raise Failure(f'perf report: {told}')
        own = sum(float(share) for share, _, _ in rows)
        taken = sum(float(share) for share, _, symbol in rows if symbol in RECEIVING)
        return int(total[1]) * 1e-11 * own, int(total[1]) * 1e-11 * (own - taken)


def lawless_limited(lab, rate):
    """The lawless one, while nothing else happens: (whether it is as it should be, what it is about)."""
    b = lab.nodes['B']
    perf = Perf(lab, b) if shutil.which('perf') and not lab.sanitized else None
    before, cpu = counted(lab, 'A'), cpu_s(b)
    flood = Flood(lab, 'A', EVERYBODY, FLOOD_S, rate).heard_by(lab, 'B').start()
    sent, received = flood.end()
    dropped, spent = counted(lab, 'A') - before, [after - then for after, then in zip(cpu_s(b), cpu)]
    lab.note(f'A without limits: {sent} sent in {flood.took:.1f} s, {received} at the device of B, {dropped} dropped there; '
             f'B spent {spent[0]:.2f} s and {spent[1]:.2f} s in the kernel')
    each = spent[0] / max(1, dropped + received) * 1e6
    told = [(sent >= 0.9 * rate * FLOOD_S, f'only {sent} frames left'),
            (0.9 * (BURST + LIMIT * FLOOD_S) <= received <= 1.01 * (BURST + LIMIT * flood.took) or lab.sanitized,
             f'{received} frames at the device in {flood.took:.2f} s: wanted {LIMIT}/s and {BURST}'),
            (dropped >= 0.7 * (sent - received), f'only {dropped} of {sent - received} were dropped by the limit'),
            (each <= USER_US or lab.sanitized, f'{each:.2f} us of user time of B for each frame')]
    if perf:
        own, each = (seconds / max(1, dropped + received) * 1e6 for seconds in perf.own_s())
        lab.note(f'{own:.2f} us of B itself for each frame, {each:.2f} of them once it is taken from the kernel (perf)')
        told.append((each <= DROP_US, f'{each:.2f} us of B for each frame, at most {DROP_US}'))
    b.host.run('sleep', '3')
    return told


def lawful_limited(lab, rate):
    before, own = counted(lab, 'D'), lab.nodes['D'].drops().get('storm', 0)
    flood = Flood(lab, 'D', EVERYBODY, 3, rate).heard_by(lab, 'B').start()
    sent, received = flood.end()
    lab.note(f'D with its limits: {sent} sent in {flood.took:.1f} s, {received} at the device of B')
    lab.equal(counted(lab, 'D') - before, 0, 'what B counts against D, whose own daemon limits it')
    own = lab.nodes['D'].drops().get('storm', 0) - own
    return [(received <= 1.01 * (2000 + 1000 * flood.took), f'{received} of D in {flood.took:.2f} s: wanted 1000/s and 2000'),
            (own >= 0.9 * (sent - received), f'D counts {own} of its own, of {sent - received} that did not come')]


def limits(lab):
    """The lawless one and a lawful one. Half the frames are still more than any limit."""
    lab.tried('lawless', lambda again: lawless_limited(lab, RATE // 2**again))
    lab.tried('lawful', lambda again: lawful_limited(lab, RATE // 2**again))


def speed(lab, what):
    transfer = Transfer(lab.hosts['D'], lab.ip('B'), SIZE, 60, pace=PACE)
    report = transfer.end(65)
    return SIZE * 8e-6 / report['seconds'] if whole(lab, transfer, report, what) else 0.0


def others(lab, rate):
    """Transfers D to B, in turn with A's flood for nobody and for everybody."""
    got, told = {NOBODY: [], EVERYBODY: []}, []
    for i in range(RUNS):
        for to, what in ((NOBODY, 'nobody'), (EVERYBODY, 'everybody')):
            flood = Flood(lab, 'A', to, 60 * RATE // rate, rate).start()
            lab.hosts['A'].run('sleep', '1')
            got[to].append(speed(lab, f'{i + 1}: flood to {what}'))
            sent, _ = flood.end(early=True)
            told.append((sent >= 0.9 * rate * flood.took - rate, f'flood to {what}: only {sent} in {flood.took:.1f} s'))
    quiet, loud = (statistics.median(got[to]) for to in (NOBODY, EVERYBODY))
    lab.note(f'D to B: {quiet:.1f} Mbit/s while A floods nobody, {loud:.1f} Mbit/s while it floods everybody ({loud / quiet if quiet else 0:.2f})')
    return told + [(quiet > 10 and loud >= SHARE * quiet, f'D to B: {loud:.1f} Mbit/s in the storm, {quiet:.1f} without')]


def run(lab):
    lab.start('BD')
    lawless(lab, 'A')
    lab.meshed('ABD')
    for node in 'BD':
        lab.equal(lab.nodes['A'].path(lab.nodes[node]), 'direct', f'path A to {node}')
    limits(lab)
    Server(lab.hosts['B'])
    lab.tried('others', lambda again: others(lab, RATE // 2**again))
