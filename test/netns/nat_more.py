"""nat_more.py: what else there is in front of a node: port mapping protocols, networks without UDP, a proxy as the only way out."""
import socket
import threading
import time

from lab import Failure, until
from nat_cells import Result, measure, path_of
from routers import socket_in

MAPPED_S = 10.0      # SSDP alone may take 3 s to answer
BLOCKED_S, PROXY_S = 6.0, 8.0
RETURNS_S = 60.0
DIRECT_LATER_S = 40.0  # candidates are told anew each 35 s while relayed
# miniupnpd maps nothing where the WAN address is reserved, as the lab's internet is
PUBLIC = '11.7.1.%d'
public = iter(range(1, 250))
BLOCKED = ('noudp', 'tcp443', 'proxy')
MAPPERS = {'pcp': {'upnp': False}, 'upnp': {'pcp': False}, 'mapper': {}}


def upnp_cell(slot, left, right):
    """Two symmetric NATs, with a mapper of that kind or "none": nothing but a mapping makes them direct."""
    result = Result(f'symmetric+{left} x symmetric+{right}')
    wan = [PUBLIC % next(public), PUBLIC % next(public)]
    if not slot.world.public:
        slot.world.public = True
        slot.world.internet.route(PUBLIC[:-2] + '0/24')
    routers = slot.place('symmetric', 'symmetric', wan=wan)
    mapped = [(router, kind) for router, kind in zip(routers, (left, right)) if kind != 'none']
    for router, kind in mapped:
        router.port_mapper(**MAPPERS[kind])

    def look():
        for router, kind in mapped:
            rules = router.mappings()
            result.wanted(any('9993' in rule for rule in rules), f'no mapping by {kind}: {rules}')
    measure(slot, result, True, direct_s=MAPPED_S, look=look)
    return result


def behind(slot, left, right):
    """Places the pair; "proxy" = tinyproxy is the only way out."""
    routers = slot.place(*('closed' if kind == 'proxy' else kind for kind in (left, right)))
    for daemon, router, kind in zip((slot.a, slot.b), routers, (left, right)):
        daemon.env = {'https_proxy': router.proxy()} if kind == 'proxy' else {}
    return routers


def fallback_cell(slot, left, right):
    result = Result(f'{left} x {right}')
    behind(slot, left, right)
    try:
        measure(slot, result, False, first_s=PROXY_S if 'proxy' in (left, right) else BLOCKED_S)
    finally:
        slot.a.env = slot.b.env = {}
    return result


class Talk:
    """A TCP connection over the overlay: a number goes, the same number returns, 20 a second."""

    def __init__(self, client, server, address, port=7777):
        self.error, self.sent, self.longest, self.stopped = None, 0, 0.0, False
        self.listening = socket_in(server.ns, socket.AF_INET, socket.SOCK_STREAM, (address, port))
        self.listening.listen(1)
        self.socket = socket_in(client.ns, socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect((address, port))
        self.far, _ = self.listening.accept()
        self.far.settimeout(20)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def pass_on(self, a, b, word):
        a.sendall(word)
        got = b''
        while len(got) < len(word):
            more = b.recv(len(word) - len(got))
            if not more:
                raise ConnectionError('closed')
            got += more
        if got != word:
            raise ConnectionError('other bytes')

    def work(self):
        try:
            while not self.stopped:
                began = time.monotonic()
                word = self.sent.to_bytes(8, 'big')
                self.pass_on(self.socket, self.far, word)
                self.pass_on(self.far, self.socket, word)
                self.sent += 1
                self.longest = max(self.longest, time.monotonic() - began)
                time.sleep(0.05)
        except OSError as error:
            self.error = f'{type(error).__name__}: {error}'

    def stop(self):
        self.stopped = True
        self.thread.join(25)
        for each in (self.socket, self.far, self.listening):
            each.close()


def by_udp(daemon, peer):
    roots = [root['endpoint'] or 'tls:' for root in daemon.json('status')['roots']]
    path, endpoint = path_of(daemon, peer)
    return path != 'none' and not any(at.startswith('tls:') for at in (*roots, endpoint or 'tls:'))


def returns_cell(slot, kind):
    """UDP is allowed again: the pair goes direct and a TCP connection across the change is not lost."""
    result = Result(f'UDP returns after {kind}')
    left, _ = behind(slot, kind, 'port')
    for daemon in (slot.a, slot.b):
        daemon.start().online(20)
    a, b = slot.a.host, slot.b.host
    began = time.monotonic()
    until('an answer by TLS', lambda: a.ping(slot.ip), 15)
    result.first = time.monotonic() - began
    talk = Talk(a, b, slot.ip)
    try:
        time.sleep(2)
        left.become('port')
        began = time.monotonic()
        ids = [d.address() for d in (slot.a, slot.b)]
        until('UDP to the root and the peer', lambda: by_udp(slot.a, ids[1]), RETURNS_S, 0.25)
        result.path = f'UDP after {time.monotonic() - began:.1f} s'
        # Without TLS in between it is a pair of port-restricted NATs like any other.
        until('direct, with UDP to the root', lambda: path_of(slot.a, ids[1])[0] == path_of(slot.b, ids[0])[0] == 'direct', DIRECT_LATER_S, 0.25)
        result.direct = time.monotonic() - began
        sent = talk.sent
        time.sleep(2)
        result.wanted(talk.sent > sent, 'TCP stands still after the change')
    except Failure as failure:
        result.wanted(False, str(failure))
    finally:
        talk.stop()
    result.wanted(talk.error is None, f'TCP: {talk.error}')
    result.wanted(talk.sent > 40, f'TCP: only {talk.sent} words')
    result.path += f', TCP stood still {talk.longest:.2f} s'
    slot.stop()
    return result


UPNP = (('pcp', 'pcp'), ('upnp', 'upnp'), ('mapper', 'none'))
FALLBACK = (('port', 'noudp'), ('noudp', 'noudp'), ('port', 'tcp443'), ('tcp443', 'tcp443'), ('port', 'proxy'), ('proxy', 'proxy'))
