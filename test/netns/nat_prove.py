"""nat_prove.py: the lab itself is proven: each kind of router does what its name says, asked by packets from both sides."""
import itertools
import os
import socket
import struct
import threading

from nat_cells import Result, World
from nat_more import PUBLIC
from routers import Inside, Internet, Prober, Router, socket_in

#            mapping        filtering
PROMISED = {
    'full': ('independent', 'independent'),
    'address': ('independent', 'address'),
    'port': ('independent', 'port'),
    'symmetric': ('port', 'port'),
    'cgnat-port': ('independent', 'port'),
    'cgnat-symmetric': ('port', 'port'),
    'noudp': ('none', 'none'),
    'tcp443': ('none', 'none'),
    'closed': ('none', 'none'),
}
TCP = {'tcp443': (False, True), 'closed': (False, False)}  # to ports 80 and 443; the others let both pass


class Bare:
    """What World.side needs of a world without daemons."""

    side = World.side

    def __init__(self, lab):
        self.lab, self.internet = lab, Internet(lab)
        self.serial, self.lock = itertools.count(1000), threading.Lock()


def connects(host, server, port):
    with socket_in(host.ns, socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(0.5)
        try:
            client.connect((server.address, port))
            return True
        except OSError:
            return False


def prove4(result, kind, inside, server, prober):
    mapping, whence = prober.mapping(inside, 5001)
    filtering = prober.filtering(inside, 5002)
    result.path = f'mapping {mapping}, filtering {filtering}'
    result.wanted((mapping, filtering) == PROMISED[kind], f'promised {PROMISED[kind]}')
    if whence:
        outer = inside.router if not hasattr(inside.router.outside, 'kind') else inside.router.outside
        result.wanted(whence[0] == outer.wan, f'seen at {whence[0]}, not at {outer.wan}')
        if PROMISED[kind][0] == 'independent':
            result.wanted(prober.unspoilt(inside, 5003), 'an unsolicited packet changed the mapping')
    tcp = tuple(connects(inside, server, port) for port in (80, 443))
    result.wanted(tcp == TCP.get(kind, (True, True)), f'TCP to 80 and 443: {tcp}')


def prove6(result, inside, server):
    """Out and back, but nobody in who was not asked; by its own address all the way."""
    def passes(a, b):
        try:
            a.sendto(b'six', b.getsockname()[:2])
            return b.recvfrom(64)[1][0] == a.getsockname()[0]
        except OSError:
            return False
    with socket_in(inside.ns, socket.AF_INET6, socket.SOCK_DGRAM, (inside.address6, 5004)) as client, \
            socket_in(server.ns, socket.AF_INET6, socket.SOCK_DGRAM, (server.address6, 3478)) as far:
        for each in (client, far):
            each.settimeout(0.4)
        # a bridge that just got its first port is slow to have IPv6; that nothing came in must not be owed to that
        reached = any(passes(client, far) for _ in range(10))
        result.wanted(reached, 'IPv6 does not get out')
        result.wanted(passes(far, client), 'IPv6 does not get back')
    with socket_in(inside.ns, socket.AF_INET6, socket.SOCK_DGRAM, (inside.address6, 5005)) as client, \
            socket_in(server.ns, socket.AF_INET6, socket.SOCK_DGRAM, (server.address6, 3478)) as far:
        for each in (client, far):
            each.settimeout(0.4)
        result.wanted(not passes(far, client), 'IPv6 comes in unasked')


def pcp_map(host, router, port):
    """A MAP request of PCP (RFC 6887, 7.1 and 11.1) for a UDP port; the external (address, port), None without an answer."""
    mapped = lambda address: bytes(10) + b'\xff\xff' + socket.inet_aton(address)
    request = struct.pack('!BBHI', 2, 1, 0, 120) + mapped(host.address)
    request += os.urandom(12) + struct.pack('!B3xHH', 17, port, port) + mapped('0.0.0.0')
    with socket_in(host.ns, socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(request, (f'{router.lan}.1', 5351))
        try:
            answer = client.recv(1100)
        except OSError:
            return None
    if len(answer) != 60 or answer[1] != 0x81 or answer[3] != 0:
        return None
    return socket.inet_ntoa(answer[56:60]), struct.unpack_from('!H', answer, 42)[0]


def mapper(bare, inside, server, prober):
    """Behind a symmetric NAT anybody gets in by a mapping, and what is inside answers by the same port."""
    result = Result('router symmetric with a port mapper')
    bare.internet.route(PUBLIC[:-2] + '0/24')
    near = Router(bare.internet, 'mapper', 'symmetric', wan=PUBLIC % 250)
    inside.move(near, 10)
    near.port_mapper()
    outer = pcp_map(inside, near, 5005)
    result.path = f'mapped to {outer}'
    if not outer:
        result.wanted(False, 'PCP gives no mapping')
    else:
        with prober.client(inside, 5005) as client:
            result.wanted(outer[0] == near.wan, f'mapped to {outer[0]}')
            result.wanted(prober.reaches(prober.socket[1, 1], outer, client), 'nobody gets in')
            result.wanted(prober.seen(client, prober.socket[1, 1]) == outer, 'the answer leaves by another port')
    near.close()
    return result


def routers(lab):
    bare = Bare(lab)
    server = bare.internet.host('S', 0x21)
    second = '198.18.200.200'
    server.addr('add', second)
    prober = Prober(server, second)
    listening = [socket_in(server.ns, socket.AF_INET, socket.SOCK_STREAM, (server.address, port)) for port in (80, 443)]
    for each in listening:
        each.listen(16)
    inside = Inside(lab, 'I')
    for kind in PROMISED:
        result = Result(f'router {kind}')
        near, way = bare.side(kind, v6=True)
        inside.move(near, 10)
        prove4(result, kind, inside, server, prober)
        if kind in ('port', 'cgnat-port'):
            prove6(result, inside, server)
        for router in way:
            router.close()
        yield result
    yield mapper(bare, inside, server, prober)
    prober.close()
    for each in listening:
        each.close()
