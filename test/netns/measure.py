"""measure.py: what a change does to traffic: flows of numbered frames, and long transfers with their pauses.

All times are CLOCK_MONOTONIC, which the tools and lab.now() share in all namespaces.
"""
import itertools
import json
import random
import signal
import subprocess
import threading

from lab import Failure, now, tool, until

RATE = 1000  # frames a second: what the loss of one of them is worth in time
flows = itertools.count(1)


GROUPS = '''table bridge farlan_groups {
	chain in {
		type filter hook prerouting priority 0;
		pkttype multicast meta l4proto udp drop
	}
}
'''


def beacons_off(lab):
    """The internet carries no beacons: members that find each other by them are on one LAN."""
    lab.net.run('nft', '-f', '-', input=GROUPS)


def beacons_on(lab):
    lab.net.run('nft', 'delete', 'table', 'bridge', 'farlan_groups')


class Flow:
    """Numbered frames from a member to another, from here until stop()."""

    def __init__(self, lab, frm, to, seconds=240, rate=RATE, length=100):
        self.frm, self.to, self.rate = frm, to, rate
        flow, a, b = next(flows), lab.nodes[frm].host, lab.nodes[to].host
        self.receiver = b.popen(tool('numbered'), 'recv', lab.dev(to), flow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.receiver.stderr.readline() != 'ready\n':
            raise Failure(f'numbered recv on {to}: {self.receiver.stderr.read()}')
        self.sender = a.popen(tool('numbered'), 'send', lab.dev(frm), lab.nodes[to].network(lab.nwid)['mac'], flow, rate, seconds, length,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.sent = self.got = None

    def end(self, process, what):
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        if process.returncode != 0:
            raise Failure(f'numbered {what} {self}: exit {process.returncode}: {err}')
        return json.loads(out)

    def halt(self):
        """Nothing is sent any more."""
        self.sent = self.end(self.sender, 'send')

    def stop(self):
        """What the receiver tells; call halt() and leave the last frames a moment before."""
        self.got = self.end(self.receiver, 'recv')
        if self.got['socket_drops']:
            raise Failure(f'{self}: the receiver itself dropped {self.got["socket_drops"]} frames')
        return self.got

    def lost(self):
        """Also those behind the last one that came."""
        return self.sent['sent'] - self.got['received']

    def longest(self, since=0.0):
        """The longest time without an arrival that ended after since; one that never ended reaches to the last frame sent."""
        gaps = [seconds for at, seconds, _ in self.got['gaps'] if at + seconds > since]
        tail = (self.sent['sent'] - self.got['next']) / self.rate
        return max([0.0, *gaps, *([tail] if tail > 0.05 else [])])

    def lost_after(self, begun):
        """How many of those sent after that time were lost; the tail counts too."""
        lost = sum(last - first + 1 for first, last, before, _ in self.got['missing'] if before > begun)
        return lost + self.sent['sent'] - self.got['next']

    def __str__(self):
        return f'{self.frm} -> {self.to}'


def both(lab, a, b, **how):
    return [Flow(lab, a, b, **how), Flow(lab, b, a, **how)]


def ended(flows_, settle=0.7):
    """Stops flows: no more frames, then the last ones may arrive."""
    for flow in flows_:
        flow.halt()
    end = now() + settle
    until('the last frames had time to arrive', lambda: now() > end, settle + 1)
    for flow in flows_:
        flow.stop()
    return flows_


class Server:
    """Takes transfers on a member."""

    def __init__(self, host, port=7000):
        self.host, self.port = host, port
        self.process = host.popen(tool('transfer'), 'serve', port, stderr=subprocess.PIPE, text=True)
        if self.process.stderr.readline() != 'ready\n':
            raise Failure(f'transfer serve on {host.name}: {self.process.stderr.read()}')


class Transfer:
    """BYTES from a host to an address of a member that serves; pace: bytes/s at most."""

    def __init__(self, host, address, size, seconds, port=7000, pace=None):
        self.size, self.report, self.sent, self.begun = size, None, 0, now()
        self.what = f'transfer {host.name} -> {address}'
        self.process = host.popen(tool('transfer'), 'send', address, port, random.getrandbits(63), size, seconds,
                                  *([pace] if pace else []), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            if 'sent' in told:
                self.sent = told['sent']
            else:
                self.report = told

    def reached(self, part, seconds=60):
        def there():
            if self.process.poll() is not None and not self.report:
                raise Failure(f'{self.what}: ended at {self.sent} bytes: {self.process.stderr.read()}')
            return self.sent >= part * self.size
        until(f'{self.what}: {part:.0%} sent', there, seconds)

    def end(self, seconds):
        """The report; a transfer that did not end by itself is None."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.thread.join(5)
        return self.report


def whole(lab, transfer, report, what):
    """Everything came, and unchanged."""
    if not lab.check(report is not None, f'{what}: the transfer did not complete: {transfer.sent} of {transfer.size} bytes were sent'):
        return False
    lab.equal(report['received'], transfer.size, f'{what}: bytes received')
    lab.equal(report['wrong'], None, f'{what}: first wrong byte')
    lab.equal(report['sum_received'], report['sum_sent'], f'{what}: checksum')
    lab.note(f'{what}: {transfer.size >> 20} MiB in {report["seconds"]:.1f} s, pauses {[(round(p[1], 2)) for p in report["pauses"]]}')
    return True


def pause(report, since):
    """The longest pause that ended after since."""
    return max([0.0, *(seconds for at, seconds, _ in report['pauses'] if at + seconds > since)])


class Pings:
    """A ping that goes on, and when its answers came."""

    def __init__(self, host, to, interval=0.02):
        self.what, self.at = f'ping {host.name} -> {to}', []
        self.process = host.popen('ping', '-n', '-i', interval, '-W', '1', to, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if 'bytes from' in line:
                self.at.append(now())

    def stop(self):
        self.process.terminate()
        self.process.wait(5)
        self.thread.join(5)

    def last(self):
        return self.at[-1] if self.at else 0.0

    def longest(self, since, until_):
        """The longest time without an answer that touches this stretch."""
        inside = [t for t in list(self.at) if since <= t <= until_]
        return max(b - a for a, b in zip([since, *inside], [*inside, until_]))

    def __str__(self):
        return self.what
