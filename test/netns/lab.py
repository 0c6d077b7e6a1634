"""lab.py: hosts in network namespaces, real daemons on them, and means to look at what they do.

A lab is a bridge in a namespace of its own (the "internet", 198.18.0.0/15) and one veth pair for each host. Names carry our
pid, so that labs side by side do not meet; everything is taken down again whatever happens. Programs come from $FARLAN_BIN
(default: build). Every wait has a deadline, longer where the machine is not ours alone (strain.py), and says what it waited for. A daemon that ends by itself, or with anything but
0, or whose log has a sanitizer's report, fails the scenario.
"""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from strain import STRAIN

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDENTITIES = os.path.join(TREE, 'build', 'identities')
BIN = os.path.abspath(os.environ.get('FARLAN_BIN', os.path.join(TREE, 'build')))
POOL = '10.77.0.0/24'
REPORTS = re.compile(r'ERROR: AddressSanitizer|WARNING: ThreadSanitizer|ERROR: LeakSanitizer|runtime error:|Assertion .* failed')
SLOW = 4 if os.path.basename(BIN) in ('address', 'thread') else 1  # sanitizers: deadlines of the harness, never of an assertion


BLOCK = '''table bridge farlan {
	chain forward {
		type filter hook forward priority 0;
		ether saddr { %s, %s } ether daddr { %s, %s } meta l4proto udp drop
	}
}
'''


class Failure(Exception):
    pass


def now():
    return time.monotonic()


def run(*argv, code=0, input=None, timeout=60, env=None):
    """A command; code: the exit status it must have, None = any."""
    argv = [str(a) for a in argv]
    done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=timeout, env=env, errors='replace')
    if code is not None and done.returncode != code:
        raise Failure(f'{" ".join(argv)}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}')
    return done


def until(what, ask, seconds=10.0, every=0.02):
    """Asks until the answer is true and returns it."""
    begun = now()
    while True:
        answer = ask()
        if answer:
            return answer
        if STRAIN.over(begun, seconds * SLOW):
            raise Failure(f'after {now() - begun:.1f} s still not ({seconds * SLOW:g} s of a quiet machine): {what}')
        time.sleep(every)


class Receiver:
    """Frames of a device as (arrival, bytes), by the frames tool; arrival is ours, a few ms late at most. plain: the device is not made
    promiscuous, so that its member gets what it would get without us."""

    def __init__(self, host, dev, seconds=60, ethertype='all', plain=False):
        self.got = []
        self.process = host.popen(tool('frames'), 'recv', dev, seconds, ethertype, *(['plain'] if plain else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stderr.readline()
        if b'ready' not in line:
            raise Failure(f'frames recv on {host.name}: {line!r}')
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.got.append((now(), bytes.fromhex(line.decode().strip())))

    def frames(self):
        return [frame for _, frame in list(self.got)]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join(5)
        return self.frames()


class Capture:
    """tcpdump into a file, ready when the constructor returns."""

    def __init__(self, host, dev, path, *expression):
        self.path = path
        self.process = host.popen('tcpdump', '-Z', 'root', '-i', dev, '--immediate-mode', '-U', '-s', '0', '-B', '16384', '-w', path, *expression,
                                  stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        if not any(b'listening' in line for line in iter(self.process.stderr.readline, b'')):
            raise Failure(f'tcpdump on {host.name} {dev} does not start')

    def stop(self):
        """What the kernel still holds for it when it is told to end is not written, so it is let come to rest before."""
        for _ in range(20):  # where frames pass all the time there is no rest
            size = os.path.getsize(self.path)
            STRAIN.rest(now(), 0.1)
            if size == os.path.getsize(self.path):
                break
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        with open(self.path, 'rb') as file:
            return file.read()


def pcap_frames(data):
    """The frames of a pcap file of this machine's byte order, Ethernet."""
    magic, = struct.unpack_from('=I', data, 0)
    if magic not in (0xa1b2c3d4, 0xa1b23c4d):
        raise Failure(f'no pcap file: {magic:#x}')
    at, frames = 24, []
    while at + 16 <= len(data):
        _, _, kept, _ = struct.unpack_from('=IIII', data, at)
        frames.append(data[at + 16:at + 16 + kept])
        at += 16 + kept
    return frames


def udp_payload(frame):
    """((source, port), (destination, port), payload) of IPv4 UDP in Ethernet, else None."""
    if len(frame) < 42 or frame[12:14] != b'\x08\x00' or frame[23] != 17:
        return None
    head = (frame[14] & 15) * 4
    udp = frame[14 + head:14 + struct.unpack_from('!H', frame, 16)[0]]
    source, destination, length = struct.unpack_from('!HHH', udp, 0)
    address = ['.'.join(map(str, frame[i:i + 4])) for i in (26, 30)]
    return (address[0], source), (address[1], destination), udp[8:length]


def tool(name):
    return os.path.join(BIN, 'test/netns', name)


def mac_bytes(text):
    return bytes.fromhex(text.replace(':', ''))


class Wire:
    """The wire tool between two namespaces; options: strings like "--loss 1%", see wire.c. Devices are up when it returns."""

    def __init__(self, lab, a, a_dev, b, b_dev, *options):
        self.name = f'wire {a_dev} in {a} - {b_dev} in {b}'
        words = [word for option in options for word in str(option).split()]
        self.process = subprocess.Popen([tool('wire'), '--a-netns', a, '--a-dev', a_dev, '--b-netns', b, '--b-dev', b_dev, *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lab.processes.append(self.process)
        if self.process.stdout.readline() != 'ready\n':
            raise Failure(f'{self.name}: {self.process.stderr.read()}')
        lab.wires.append(self)

    def ask(self, line):
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith('error'):
            raise Failure(f'{self.name}: {line}: {answer or self.process.stderr.read()}')
        return answer

    def set(self, *options):
        """Other impairments from now on: "--a-loss 100%" cuts the way from a to b."""
        self.ask(' '.join(str(option) for option in options))

    def counters(self):
        """{"a": {"frames": ...}, "b": ...}, of the frames that leave that side."""
        return json.loads(self.ask('stats'))

    def stop(self):
        """The last counters; the devices go with it."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=10)
        if self.process.returncode != 0:
            raise Failure(f'{self.name}: exit {self.process.returncode}: {err}')
        return json.loads(out.splitlines()[-1])


class Host:
    """A namespace with one veth "u" into the underlay, or to a wire whose side a is the host."""

    def __init__(self, lab, name, address, wire=None):
        self.lab, self.name, self.address = lab, name, address
        self.ns = f'{lab.prefix}-{name}'
        self.port = f'v{name}'
        run('ip', 'netns', 'add', self.ns)
        lab.namespaces.append(self.ns)
        run('ip', '-n', self.ns, 'link', 'set', 'lo', 'up')
        self.wire = None
        if address:
            near = f'h{name}' if wire is not None else self.port
            run('ip', '-n', self.ns, 'link', 'add', 'u', 'type', 'veth', 'peer', 'name', near, 'netns', lab.net.ns)
            # no super-datagrams on the underlay: what is captured is what a wire would carry
            run('ip', '-n', self.ns, 'link', 'set', 'u', 'gso_max_segs', '1')
            if wire is not None:
                self.wired(near, wire)
            run('ip', '-n', lab.net.ns, 'link', 'set', self.port, 'master', 'br0', 'up')
            run('ip', '-n', self.ns, 'link', 'set', 'u', 'up')
            self.addr('add', address)

    def wired(self, near, options):
        """u stays a veth, since no daemon takes a TAP for underlay: its peer is bridged to side a of the wire, and side b is our port."""
        net, wire, bridge = self.lab.net.ns, f'w{self.name}', f'b{self.name}'
        self.wire = Wire(self.lab, net, wire, net, self.port, '--dev-mtu 9000', *options)
        run('ip', '-n', net, 'link', 'add', 'name', bridge, 'type', 'bridge', 'mcast_snooping', '0')
        for dev in (near, wire):
            run('ip', '-n', net, 'link', 'set', 'dev', dev, 'master', bridge, 'up')
        run('ip', '-n', net, 'link', 'set', 'dev', bridge, 'up')

    def mtu(self, mtu):
        """Of its way to the underlay, told to the host's kernel; a wire's own limit (--mtu) is another matter."""
        run('ip', '-n', self.ns, 'link', 'set', 'u', 'mtu', mtu)
        for dev in ([f'h{self.name}'] if self.wire else []) + [self.port]:
            run('ip', '-n', self.lab.net.ns, 'link', 'set', 'dev', dev, 'mtu', mtu)

    def addr(self, verb, address):
        run('ip', '-n', self.ns, 'addr', verb, f'{address}/{64 if ":" in address else 15}', 'dev', 'u', *(['nodad'] if ':' in address and verb == 'add' else []))

    def endpoint(self, port=9993):
        return f'[{self.address}]:{port}' if ':' in self.address else f'{self.address}:{port}'

    def argv(self, *argv):
        return ['ip', 'netns', 'exec', self.ns, *[str(a) for a in argv]]

    def run(self, *argv, **how):
        return run(*self.argv(*argv), **how)

    def popen(self, *argv, **how):
        process = subprocess.Popen(self.argv(*argv), **how)
        self.lab.processes.append(process)
        return process

    def mac(self, dev='u'):
        return json.loads(run('ip', '-n', self.ns, '-j', 'link', 'show', dev).stdout)[0]['address']

    def ping(self, to, count=1, interval=0.05, wait=1, size=56, *more):
        """How many answers. ping waits for the last ones no longer than an interval (or two round trips) once there were any: those it
        did not wait for are asked again, more patiently, so that what the way itself loses at the end of a row is still missed."""
        got, left = 0, count
        for interval_ in (interval, max(interval, 0.2), max(interval, 0.5), max(interval, 1.0)):
            done = self.run('ping', '-n', '-c', left, '-i', interval_, '-W', wait, '-s', size, *more, to, code=None, timeout=30 + left * interval_)
            answered = {int(n) for n in re.findall(r'icmp_seq=(\d+) ttl=', done.stdout)}
            got += len(answered)
            left -= max(answered, default=left)
            if not left:
                break
        return got

    def reaches(self, to, seconds=10.0):
        until(f'ping {self.name} -> {to}', lambda: self.ping(to), seconds)

    def send(self, dev, *frames, count=1, gap_us=0):
        text = '\n'.join(frame.hex() for frame in frames) + '\n'
        self.run(tool('frames'), 'send', dev, '-', count, gap_us, input=text, timeout=120)


class Pinging:
    """A ping that goes on beside what is done."""

    def __init__(self, host, to, *words):
        self.out = tempfile.TemporaryFile('w+')
        self.process = host.popen('ping', '-n', *words, to, stdout=self.out, text=True)

    def end(self, seconds=60):
        """How many it sent, how many of them had no answer though a later one had, and how many at the end had none: it may have been ended
        before those could come, what the way lost is in the middle. seconds: to wait for one that ends by itself; 0 = it is ended."""
        if not seconds:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(seconds or 60)
        self.out.seek(0)
        text = self.out.read()
        sent = int(re.search(r'(\d+) packets transmitted', text)[1])
        answered = {int(n) for n in re.findall(r'icmp_seq=(\d+) ttl=', text)}
        last = max(answered, default=0)
        return sent, last - len(answered), sent - last


class Daemon:
    """farland or farlan-controller on a host, with a home of its own."""

    def __init__(self, lab, host, program='farland', options=()):
        self.lab, self.host, self.program, self.options = lab, host, program, list(options)
        self.home = os.path.join(lab.folder, host.name)
        self.log = os.path.join(lab.folder, host.name + '.log')
        self.process = None
        self.env = {}  # beside our own
        lab.daemons.append(self)

    def identity_kept(self):
        """An identity costs seconds of work: the one of the first run is used again by all later ones."""
        return os.path.join(IDENTITIES, f'{self.host.name}.secret')

    def start(self, ready=True):
        mine = os.path.join(self.home, 'identity.secret')
        if not os.path.exists(mine) and os.path.exists(self.identity_kept()):
            os.makedirs(self.home, 0o700, exist_ok=True)
            shutil.copy2(self.identity_kept(), mine)
        argv = [os.path.join(BIN, self.program), '--home', self.home, *self.options]
        if os.path.basename(BIN) == 'thread':
            argv = ['setarch', '-R', *argv]
        self.output = open(self.log, 'ab')
        self.process = self.host.popen(*argv, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, env={**os.environ, **self.env})
        if ready:
            self.ready()
        return self

    def ready(self):
        def answers():
            self.alive()
            return self.cli('status', code=None).returncode == 0
        until(f'{self.host.name}: {self.program} answers', answers, 15 if os.path.exists(self.identity_kept()) else 120)
        if not os.path.exists(self.identity_kept()):
            os.makedirs(IDENTITIES, 0o700, exist_ok=True)
            shutil.copy2(os.path.join(self.home, 'identity.secret'), f'{self.identity_kept()}.{os.getpid()}')
            os.rename(f'{self.identity_kept()}.{os.getpid()}', self.identity_kept())

    def online(self, seconds=15):
        until(f'{self.host.name}: online', lambda: self.alive() and self.json('status').get('online'), seconds)
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise Failure(f'{self.host.name}: {self.program} ended by itself with {self.process.returncode}')
        return True

    def stop(self):
        if not self.process:
            return
        early = self.process.poll()
        if early is None:
            self.process.terminate()
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.lab.fail(f'{self.host.name}: {self.program} does not end on SIGTERM')
        if self.process.returncode != 0:
            self.lab.fail(f'{self.host.name}: {self.program} ended with {self.process.returncode}{" by itself" if early is not None else ""}')
        self.process = None
        self.output.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        self.output.close()

    def cli(self, *argv, code=0, timeout=90):
        return run(os.path.join(BIN, 'farlan'), '--home', self.home, *argv, code=code, timeout=timeout)

    def json(self, *argv):
        return json.loads(self.cli('-o', 'json', *argv).stdout)

    def address(self):
        return self.cli('id').stdout.strip().split(':')[1]

    def network(self, nwid):
        return next(n for n in self.json('networks')['networks'] if n['id'] == nwid)

    def path(self, peer):
        """direct, relay or none."""
        address = peer.address()
        return next((p['path'] for p in self.json('peers')['peers'] if p['address'] == address), 'none')

    def endpoint(self, peer):
        address = peer.address()
        return next((p['endpoint'] for p in self.json('peers')['peers'] if p['address'] == address), None)

    def roots(self):
        """At how many roots it is registered."""
        return sum(root['online'] for root in self.json('status')['roots'])

    def drops(self):
        return {k: n for k, n in self.json('drops')['drops'].items() if n}

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def taps(self):
        """Names of the TAP devices on its host."""
        return [link['ifname'] for link in json.loads(run('ip', '-n', self.host.ns, '-j', 'link', 'show', 'type', 'tun').stdout) if link]

    def rss_kib(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as file:
            return int(re.search(r'VmRSS:\s*(\d+)', file.read())[1])


class Lab:
    def __init__(self, title):
        self.title = title
        self.prefix = f'fl{os.getpid()}'
        self.folder = tempfile.mkdtemp(prefix='farlan-lab-')
        self.namespaces, self.processes, self.daemons, self.wires = [], [], [], []
        self.failures, self.notes, self.passed = [], [], 0
        self.hosts, self.nodes = {}, {}
        self.root = self.controller = self.nwid = None
        self.sanitized, self.slow = SLOW > 1, SLOW
        self.underlay = '198.18.0.%d'  # or an IPv6 prefix, before the first host
        self.net = Host(self, 'net', None)
        run('ip', '-n', self.net.ns, 'link', 'add', 'br0', 'type', 'bridge')
        run('ip', '-n', self.net.ns, 'link', 'set', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
        run('ip', '-n', self.net.ns, 'link', 'set', 'br0', 'up')

    # ---- verdicts

    def check(self, good, what):
        if good:
            self.passed += 1
        else:
            self.fail(what)
        return good

    def equal(self, got, wanted, what):
        return self.check(got == wanted, f'{what}: got {got!r}, wanted {wanted!r}')

    def within(self, seconds, limit, what, since=None):
        """Of something since then, or of the last minute: seconds is at most the limit and what the machine lost in a time as long. What
        never ends is to be watched for longer than MOST limits, or by STRAIN.rest() since then."""
        allowed = self.allowed(seconds, limit, since)
        self.note(f'{what}: {seconds * 1000:.0f} ms' + (f', at most {limit * 1000:.0f} ms of a quiet machine' if seconds > limit else ''))
        return self.check(seconds <= allowed, f'{what}: {seconds:.3f} s, at most {limit:g} s, {allowed:.3f} s on this machine now')

    def allowed(self, seconds, limit, since=None):
        return limit if seconds <= limit else STRAIN.allowed(seconds, limit, now() - 60.0 - seconds if since is None else since)

    def tried(self, what, measure, tries=3):
        """What a machine can do at all is no matter of ours: measure(how often it was tried) goes easier on it each time, and tells pairs of
        whether it is as it should be, and what it is about. All must be in one try."""
        for again in range(tries):
            told = measure(again)
            if all(good for good, _ in told):
                break
            self.note(f'{what}: try {again + 1}: {"; ".join(text for good, text in told if not good)}')
        for good, text in told:
            self.check(good, text)

    def fail(self, what):
        self.failures.append(what)

    def note(self, text):
        self.notes.append(text)

    # ---- hosts and daemons

    def block(self, a, b):
        """No UDP between two hosts, by nftables at the underlay."""
        macs = (self.hosts[a].mac(), self.hosts[b].mac())
        self.net.run('nft', '-f', '-', input=(BLOCK % (*macs, *macs)).replace('farlan', f'farlan_{a}_{b}'))

    def unblock(self, a, b):
        self.net.run('nft', 'delete', 'table', 'bridge', f'farlan_{a}_{b}')

    def host(self, name, address=None, wire=None):
        """wire: impairments of its way to the underlay, e.g. ["--delay 10ms", "--loss 1%"]."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, name, address or self.underlay % (len(self.hosts) + 1), wire)
        return self.hosts[name]

    def start_root(self, *options, name='R'):
        """One more root; the first one is lab.root, its line lab.root_line."""
        host = self.host(name)
        root = Daemon(self, host, 'farland', ['--root', '--listen', host.endpoint(), *options]).start()
        line = root.cli('root-line', host.endpoint()).stdout.strip()
        if not self.root:
            self.root, self.root_line = root, line
        return root, line

    def start_controller(self, *options):
        self.controller = Daemon(self, self.host('C'), 'farlan-controller',
                                 ['--add-root', self.root_line, '--http', '127.0.0.1:8080', *options]).start()

    def start_node(self, name, *options, address=None, ready=True):
        workers = os.environ.get('FARLAN_WORKERS')
        options = [*options, *(['--workers', workers] if workers else [])]
        self.nodes[name] = Daemon(self, self.host(name, address), 'farland', ['--add-root', self.root_line, *options]).start(ready)
        return self.nodes[name]

    def start(self, names='ABD', mtu=None, ipv4=POOL, join=True):
        """Root, controller, nodes and a network; with join they are approved members whose devices are up."""
        self.start_root()
        self.start_controller()
        for name in names:
            self.start_node(name)
        self.controller.online()
        for name in names:
            self.nodes[name].online()
        self.nwid = self.create(mtu=mtu, ipv4=ipv4)
        if join:
            for name in names:
                self.join(name)
        return [self.nodes[name] for name in names]

    def create(self, name='lab', mtu=None, ipv4=POOL):
        options = [*(['--ipv4', ipv4] if ipv4 else []), *(['--mtu', mtu] if mtu else [])]
        return self.controller.cli('network', 'create', name, *options).stdout.split()[-1]

    def join(self, name, *options):
        node = self.nodes[name]
        node.cli('join', self.nwid, '--wait', '0', code=None)
        self.wait_member(node, 'pending')
        self.controller.cli('member', 'approve', self.nwid, node.address(), '--name', name, *options)
        node.cli('wait', self.nwid, '--wait', 20 * SLOW, timeout=30 * SLOW)

    def members(self):
        return {m['address']: m for m in self.controller.json('member', 'list', self.nwid)['members']}

    def wait_member(self, node, state, seconds=10):
        address = node.address()
        until(f'{node.host.name} is {state} at the controller',
              lambda: self.members().get(address, {}).get('state') == state, seconds)

    def meshed(self, names):
        """Everybody answers everybody: sessions and channels stand, so that what follows measures frames only."""
        for a in names:
            for b in names:
                if a != b:
                    self.nodes[a].host.reaches(self.ip(b), 15)

    def dev(self, name):
        return self.nodes[name].network(self.nwid)['dev']

    def tap_mac(self, name):
        return mac_bytes(self.nodes[name].network(self.nwid)['mac'])

    def ip(self, name, version=4):
        return next(a.split('/')[0] for a in self.nodes[name].network(self.nwid)['addresses'] if (':' in a) == (version == 6))

    # ---- the end

    def close(self):
        for daemon in self.daemons:
            try:
                daemon.stop()
            except Exception as error:  # the rest must still be taken down
                self.fail(f'{daemon.host.name}: {error}')
        for wire in self.wires:
            if wire.process.poll():
                self.fail(f'{wire.name} ended by itself with {wire.process.returncode}: {wire.process.stderr.read()}')
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for ns in self.namespaces:
            subprocess.run(['ip', 'netns', 'del', ns], capture_output=True, check=False)
        for daemon in self.daemons:
            with open(daemon.log, encoding='utf-8', errors='replace') as file:
                report = REPORTS.search(file.read())
            if report:
                self.fail(f'{daemon.host.name}: {report[0]} in its log')
        if self.failures:
            self.show_logs()
        shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self):
        for daemon in self.daemons:
            with open(daemon.log, encoding='utf-8', errors='replace') as file:
                text = file.read()
            at = REPORTS.search(text)
            lines = text[at.start():].splitlines()[:60] if at else text.splitlines()[-25:]
            print(f'---- {daemon.host.name} ({daemon.program})', *lines, sep='\n    ', file=sys.stderr)
