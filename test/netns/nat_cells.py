"""nat_cells.py: two nodes, each behind NATs of a kind, and what passes between them how soon.

A slot is a pair of members that is moved from cell to cell: fresh routers with WAN addresses nobody has seen, one daemon that
is up and whose kernel already sends pings, then the other one is started, and from that moment on the clock runs. What counts is
the answers of ping: the first one, and that none is missing after it. The neighbour entry of the pinging side is given, else
the kernel's one ARP request per second would be what is measured; the other side resolves by the overlay.
"""
import itertools
import queue
import re
import signal
import subprocess
import threading
import time

from lab import Daemon, Failure, until
from routers import Inside, Internet, Router, ip

TYPES = ('full', 'address', 'port', 'symmetric', 'cgnat-port', 'cgnat-symmetric')
PAIRS = tuple(itertools.combinations_with_replacement(TYPES, 2))
FIRST_S, DIRECT_S, RELAY_S = 2.0, 5.0, 10.0
BEFORE_S = 0.3  # pings that go nowhere before the other daemon starts
GIVE_UP_S = 12.0
EVERY_S = 0.05
POOL = '10.77.0.0/24'


def punchable(left, right):
    """Do plain simultaneous probes open both? One side that maps each destination elsewhere needs another that lets any port of
    an address it has spoken to in (RFC 5128, 3.3 and 3.4)."""
    hard = [kind.endswith('symmetric') for kind in (left, right)]
    soft = [kind in ('full', 'address') for kind in (left, right)]
    return not any(hard) or (not all(hard) and any(soft))


class Pinger:
    """ping at EVERY_S until it is stopped; arrivals: {number: wall clock}."""

    def __init__(self, host, to):
        self.arrived, self.twice = {}, 0
        self.began = time.time()
        self.process = host.popen('ping', '-n', '-D', '-i', EVERY_S, to, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            got = re.match(r'\[([\d.]+)\] \d+ bytes from .*icmp_seq=(\d+) .*time=', line)
            if got and 'DUP' in line:
                self.twice += 1
            elif got:
                self.arrived[int(got[2])] = float(got[1])

    def first(self):
        return min(self.arrived.values(), default=None) if self.arrived else None

    def stop(self):
        """(lost after the first answer, duplicates); those under way at the end are not lost."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(5)
        self.thread.join(5)
        if not self.arrived:
            return None, self.twice
        first, last = min(self.arrived), max(self.arrived)
        silent = (time.time() - max(self.arrived.values())) / EVERY_S
        return last - first + 1 - len(self.arrived) + (int(silent) if silent * EVERY_S > 1 else 0), self.twice


class World:
    """A root and a controller with public addresses of both families, and what all slots share."""

    def __init__(self, lab, root_options=()):
        self.lab, self.internet = lab, Internet(lab)
        self.serial = itertools.count(1)
        self.lock = threading.Lock()
        self.public = False  # nat_more.py: is there a route to its other addresses?
        host = self.internet.host('R', 0x11)
        both = [host.endpoint(), f'[{host.address6}]:9993']
        lab.root = Daemon(lab, host, 'farland', ['--root', '--listen', both[0], '--listen', both[1], *root_options]).start()
        lab.root_line = self.root_line = lab.root.cli('root-line', both[0]).stdout.strip().replace(both[0], ','.join(both))
        self.internet.host('C', 0x12)
        lab.start_controller()
        lab.controller.online()
        lab.nwid = lab.create(ipv4=POOL)

    def side(self, kind, v6=False, lan='192.168.1', wan=None, dad=False):
        """The router a host is to be put behind, and all there are on the way, the nearest first."""
        with self.lock:
            number = next(self.serial)
        prefix6 = f'2001:db8:{number:x}' if v6 else None
        if not kind.startswith('cgnat-'):
            near = Router(self.internet, f'r{number}', kind, lan, prefix6, wan, dad=dad)
            return near, [near]
        carrier = Router(self.internet, f'c{number}', kind[6:], '100.64.0', prefix6, wan, carrier=True, dad=dad)
        near = Router(carrier, f'r{number}', 'port', lan, prefix6, dad=dad)
        return near, [near, carrier]


class Slot:
    """Two members, a and b, that move together from cell to cell."""

    def __init__(self, world, number):
        self.world, self.lab, self.number = world, world.lab, number
        self.routers = []
        self.a, self.b = (self.node(name) for name in (f'A{number}', f'B{number}'))

    def node(self, name, port=9993):
        host = Inside(self.lab, name)
        daemon = Daemon(self.lab, host, 'farland', ['--add-root', self.world.root_line])
        self.lab.nodes[name] = daemon
        return daemon

    def place(self, left, right, v6=(False, False), wan=(None, None), dad=False):
        """The routers of both."""
        self.leave()
        for daemon, kind, six, wan4, number in zip((self.a, self.b), (left, right), v6, wan, (10, 11)):
            near, way = self.world.side(kind, six, wan=wan4, dad=dad)
            self.routers += way
            daemon.host.move(near, number)
        return self.a.host.router, self.b.host.router

    def place_together(self, kind):
        self.leave()
        near, self.routers = self.world.side(kind)
        for daemon, number in ((self.a, 10), (self.b, 11)):
            daemon.host.move(near, number)

    def leave(self):
        for router in self.routers:
            router.close()
        self.routers = []

    def members(self):
        """Both are approved, behind a router each, once; then they stop."""
        self.place('port', 'port')
        for daemon in (self.a, self.b):
            daemon.start().online()
            self.lab.join(daemon.host.name)
        self.ip, self.mac = self.lab.ip(self.b.host.name), self.b.network(self.lab.nwid)['mac']
        self.stop()

    def stop(self):
        self.b.stop()
        self.a.stop()


class Result:
    def __init__(self, title):
        self.title, self.first, self.direct, self.path = title, None, None, '-'
        self.lost, self.twice, self.wrong, self.detail = None, 0, [], []

    def wanted(self, good, what):
        if not good:
            self.wrong.append(what)

    def line(self):
        def seconds(value):
            return '-' if value is None else f'{value:.2f} s'
        verdict = 'ok' if not self.wrong else 'FAIL: ' + '; '.join(self.wrong)
        lost = '-' if self.lost is None else self.lost
        return f'{self.title:44} {seconds(self.first):>8} {seconds(self.direct):>8} {lost:>5}  {self.path:42} {verdict}'


HEAD = f'{"cell":44} {"first":>8} {"direct":>8} {"lost":>5}  {"path":42} verdict'


def path_of(daemon, peer):
    """(path, endpoint) of a peer's at a daemon."""
    row = next((p for p in daemon.json('peers')['peers'] if p['address'] == peer), None)
    return (row['path'], row['endpoint']) if row else ('none', None)


def both_direct(slot, ids, where):
    """where takes the newest of what both say."""
    where[0], where[1] = path_of(slot.a, ids[1]), path_of(slot.b, ids[0])
    return all(w[0] == 'direct' for w in where)


def known(slot):
    """The node ids, from the folder of the daemon: asked once."""
    if not hasattr(slot, 'ids'):
        slot.ids = [d.address() for d in (slot.a, slot.b)]
    return slot.ids


def is6(endpoint):
    return bool(endpoint) and '[' in endpoint


def measure(slot, result, direct, first_s=FIRST_S, direct_s=DIRECT_S, good=None, look=None):
    """Daemons are down, hosts are placed. direct: must it be? good: what an endpoint must be then, {name: function}; look is
    called while the daemons still run."""
    ids, where = known(slot), [None, None]
    slot.a.start().online()
    until('device of A', lambda: slot.a.taps(), 5)
    ip(slot.a.host.ns, f'neigh replace {slot.ip} lladdr {slot.mac} dev {slot.lab.dev(slot.a.host.name)} nud permanent')
    pinger = Pinger(slot.a.host, slot.ip)
    time.sleep(BEFORE_S)
    began, clock = time.time(), time.monotonic()
    slot.b.start(ready=False)
    try:
        watch(slot, result, pinger, direct, began, clock, where, ids, direct_s)
    finally:
        result.lost, result.twice = pinger.stop()
    result.path = describe(where)
    if look:
        look()
    judge(result, direct, first_s, direct_s, where, good or {})
    if result.wrong:
        result.detail += evidence(slot, where)
    slot.stop()


def watch(slot, result, pinger, direct, began, clock, where, ids, direct_s):
    """Until enough is seen: a second after both are direct, or RELAY_S after the first answer."""
    end = clock + GIVE_UP_S
    until_direct = None
    while time.monotonic() < end:
        slot.a.alive(), slot.b.alive()
        if result.first is None and pinger.first():
            result.first = pinger.first() - began
            end = clock + result.first + (max(RELAY_S, direct_s + 2) if direct else RELAY_S)
        if result.direct is None and result.first is not None and both_direct(slot, ids, where):
            result.direct = time.monotonic() - clock
            until_direct = time.monotonic() + 1
        if until_direct and direct and time.monotonic() > until_direct:
            break
        time.sleep(0.1)
    if result.first is not None:
        both_direct(slot, ids, where)


def describe(where):
    if not where[0]:
        return '-'
    one, other = where
    if one[0] == other[0] and (one[0] != 'direct' or is6(one[1]) == is6(other[1])):
        return f'{one[0]} {one[1]}' if one[0] == 'direct' else one[0]
    return f'{one[0]} {one[1]} / {other[0]} {other[1]}'


def judge(result, direct, first_s, direct_s, where, good):
    result.wanted(result.first is not None and result.first <= first_s, f'first frame > {first_s:g} s')
    if direct:
        result.wanted(result.direct is not None and result.direct <= direct_s, f'not direct within {direct_s:g} s')
        result.wanted(all(w and w[0] == 'direct' for w in where), 'direct at the end no more')
    result.wanted(not result.lost, f'{result.lost} pings lost')
    result.wanted(not result.twice, f'{result.twice} pings twice')
    for what, holds in good.items():
        result.wanted(all(w and w[1] and holds(w[1]) for w in where), what)


def evidence(slot, where):
    lines = [f'a sees {where[0]}, b sees {where[1]}']
    for daemon in (slot.a, slot.b):
        try:
            status = daemon.json('status')
            lines.append(f'{daemon.host.name} at {daemon.host.address} is seen at {[r.get("observed") for r in status["roots"]]}, drops {daemon.drops()}')
        except Failure as failure:
            lines.append(f'{daemon.host.name}: {str(failure)[:200]}')
    return lines


def pair_cell(slot, left, right, v6=(False, False), dad=False):
    """dad: IPv6 behind the routers is slow to start, and so is the first answer there: no reason to stay on the relay."""
    name = {(False, False): '', (True, False): '  (IPv6 left)', (False, True): '  (IPv6 right)', (True, True): '  (IPv6 both)'}[v6]
    result = Result(f'{left} x {right}{name}{", slow" if dad else ""}')
    direct = all(v6) or punchable(left, right)
    good = {'direct, but not by IPv6': is6} if all(v6) and not punchable(left, right) else {}
    slot.place(left, right, v6, dad=dad)
    measure(slot, result, direct, good=good)
    return result


def lan_cell(slot, kind):
    result = Result(f'one LAN behind {kind}')
    slot.place_together(kind)
    listen = slot.b.options
    slot.b.options = [*listen, '--listen', '0.0.0.0:9994']  # a cone's table knows clients by their port alone
    try:
        measure(slot, result, True, good={'not by LAN addresses': lambda e: e.startswith(slot.a.host.router.lan + '.')})
    finally:
        slot.b.options = listen
    return result


def run_cells(slots, cells, show):
    """cells: functions of a slot that return a Result; slots work side by side."""
    waiting, results = queue.Queue(), []
    for cell in cells:
        waiting.put(cell)

    def work(slot):
        while True:
            try:
                title, cell = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result = cell(slot)
            except Exception as error:  # the other cells are still of interest
                result = Result(title)
                result.wrong.append(f'{type(error).__name__}: {" ".join(str(error).split())[:300]}')
                slot.stop()
            results.append(result)
            show(result)
    threads = [threading.Thread(target=work, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
