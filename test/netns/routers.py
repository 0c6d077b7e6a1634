"""routers.py: home routers, carrier NATs and firewalls in front of the lab's internet; real nftables, a namespace each.

Kinds, in the words of RFC 4787 (mapping / filtering): full = endpoint-independent both; address = independent /
address-dependent; port = independent / address and port-dependent; symmetric = address and port-dependent both. noudp = port
without any UDP through it, tcp443 = nothing through it but TCP to port 443, closed = nothing at all: what leaves, leaves by a
proxy on the router. A carrier NAT is a router whose outside is the LAN side of another one. IPv6 is routed, never
translated; behind a stateful firewall that lets nobody in who was not asked.

Port preservation is what makes a masquerade endpoint-independent, and it holds only as long as no entry of conntrack is in the
way: an unsolicited packet to the router would leave one, so those are dropped. The tables of full and address know a client by
its inner port alone: two clients behind one such router need different ports.
"""
import contextlib
import ctypes
import os
import select
import socket
import subprocess
import threading
import time

from lab import Failure, Host, run, until

KINDS = ('full', 'address', 'port', 'symmetric', 'noudp', 'tcp443', 'closed')
LINK6 = '2001:db8::'
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
# else the first seconds of each link have no IPv6, and a cell has but a few
NO_DAD = ('net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.default.dad_transmits=0')
# conntrack's timeouts (s): what a NAT remembers of UDP that went one way, and both ways; the kernel's own are these
UDP_S, STREAM_S = 30, 120

MASQUERADE = '''
table ip nat {{
	chain leave {{
		type nat hook postrouting priority srcnat;
		oifname "wan" masquerade {how}
	}}
}}
'''
# Both maps are kept warm by what leaves: who talks from an inner port owns the outer one of the same number.
INDEPENDENT = '''
table ip cone {{
	map owner {{
		type inet_service : ipv4_addr . inet_service
		size 4096
		flags dynamic,timeout
		timeout {stream}s
	}}
	set spoken {{
		type ipv4_addr . inet_service
		size 4096
		flags dynamic,timeout
		timeout {stream}s
	}}
	chain learn {{
		type filter hook postrouting priority 90;
		oifname "wan" meta l4proto udp update @owner {{ udp sport : ip saddr . udp sport }}
		oifname "wan" meta l4proto udp update @spoken {{ ip daddr . udp sport }}
	}}
	chain enter {{
		type nat hook prerouting priority dstnat;
		iifname "wan" meta l4proto udp {who} dnat ip to udp dport map @owner
	}}
}}
'''
UNASKED = '''
table ip guard {
	chain input {
		type filter hook input priority filter;
		iifname "wan" ct state new drop
	}
}
'''
FIREWALL6 = '''
table ip6 guard {
	chain forward {
		type filter hook forward priority filter;
		iifname "wan" ct state new drop
	}
}
'''
FORWARD = '''
table inet only {{
	chain forward {{
		type filter hook forward priority filter;
		{rules}
	}}
}}
'''
ONLY = {
    'noudp': 'meta l4proto udp drop',
    'tcp443': 'oifname "wan" tcp dport 443 accept\n\t\toifname "wan" ct state new drop\n\t\tmeta l4proto udp drop',
    'closed': 'oifname "wan" drop',
}


def ruleset(kind, stream=STREAM_S, firewall6=True):
    if kind not in KINDS:
        raise Failure(f'no kind of router {kind!r}; there are: {" ".join(KINDS)}')
    rules = MASQUERADE.format(how='fully-random' if kind == 'symmetric' else '') + UNASKED
    if kind in ('full', 'address'):
        rules += INDEPENDENT.format(stream=stream, who='ip saddr . udp dport @spoken' if kind == 'address' else '')
    if kind in ONLY:
        rules += FORWARD.format(rules=ONLY[kind])
    return rules + (FIREWALL6 if firewall6 else '')


def ip(ns, *lines):
    """Several commands of ip in one process."""
    run('ip', '-n', ns, '-batch', '-', input='\n'.join(lines) + '\n')


@contextlib.contextmanager
def within_netns(ns):
    """This thread is in that namespace; sockets made here stay there."""
    mine = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f'/run/netns/{ns}', os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f'setns {ns}')
        yield
    finally:
        if libc.setns(mine, CLONE_NEWNET):
            os._exit(3)  # whatever this thread did next would be done in the wrong namespace
        os.close(mine)
        os.close(there)


def socket_in(ns, family, kind, bind=None):
    with within_netns(ns):
        made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bind:
        made.bind(bind)
    return made


class Internet:
    """The lab's bridge with everybody on it: knows the routes that all of them need, and gives out WAN addresses."""

    def __init__(self, lab):
        self.lab, self.ns, self.dev = lab, lab.net.ns, 'br0'
        self.members, self.routes, self.lock, self.used = [], [], threading.Lock(), 0
        self.port = 0

    def number(self):
        with self.lock:
            self.used += 1
            return self.used

    def next_port(self):
        with self.lock:
            self.port += 1
            return f'r{self.port}'

    def attach(self, ns, dev):
        """A member whose link stands: hears of the routes there are and of those to come."""
        with self.lock:
            self.members.append((ns, dev))
            routes = [self.line(route, dev) for route in self.routes if route[2] != ns]
        if routes:
            ip(ns, *routes)

    @staticmethod
    def line(route, dev):
        return f'route replace {route[0]} dev {dev}' + (f' via {route[1]}' if route[1] else '')

    def route(self, prefix, via=None, owner=None):
        """via None = on the link itself."""
        with self.lock:  # held to the end: no member leaves meanwhile
            route = (prefix, via, owner)
            self.routes.append(route)
            for ns, dev in self.members:
                if ns != owner:
                    ip(ns, self.line(route, dev))

    def host(self, name, number6):
        """A host with an IPv4 and an IPv6 address."""
        host = self.lab.host(name)
        host.address6 = f'{LINK6}{number6:x}'
        run('ip', '-n', host.ns, 'addr', 'add', f'{host.address6}/64', 'dev', 'u', 'nodad')
        self.attach(host.ns, 'u')
        return host

    def leave(self, ns):
        with self.lock:
            gone = [route for route in self.routes if route[2] == ns]
            self.routes = [route for route in self.routes if route[2] != ns]
            self.members = [m for m in self.members if m[0] != ns]
            for route in gone:
                for other, dev in self.members:
                    run('ip', '-n', other, 'route', 'del', route[0], 'dev', dev, code=None)


class Router:
    """outside: the Internet, or the Router whose customer this one is. lan: the first three bytes of the LAN's addresses;
    prefix6: a /48 as "2001:db8:7", or None: no IPv6; a carrier and its customer have the same; dad: IPv6 takes its time
    after a link came up, as in life. The LAN is on a bridge, its router is .1 and ::1."""

    def __init__(self, outside, name, kind, lan='192.168.1', prefix6=None, wan=None, carrier=False, dad=False, udp_s=UDP_S, stream_s=STREAM_S):
        self.outside, self.kind, self.lan, self.stream_s = outside, kind, lan, stream_s
        self.lab = outside.lab
        self.internet = outside if isinstance(outside, Internet) else outside.internet
        self.ns = f'{self.lab.prefix}-{name}'
        self.carrier = carrier  # routes IPv6 and does not guard it: that is its customers' business
        self.customers = 0
        self.daemons = []
        run('ip', 'netns', 'add', self.ns)
        self.lab.namespaces.append(self.ns)
        if not dad:
            self.sysctl(*NO_DAD)
        wan4, bits, gateway = self.wan4(wan)
        self.wan = wan4
        self.uplink = outside.next_port()
        ip(outside.ns, f'link add {self.uplink} type veth peer name wan netns {self.ns}', f'link set {self.uplink} master {outside.dev} up')
        ip(self.ns, 'link set lo up', 'link add lan type bridge mcast_snooping 0', 'link set lan up', 'link set wan up',
           f'addr add {wan4}/{bits} dev wan', f'addr add {lan}.1/24 dev lan')
        if gateway:
            ip(self.ns, f'route add default via {gateway}')
        elif wan:
            ip(self.ns, 'route add 198.18.0.0/15 dev wan')
        self.sysctl('net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv6.conf.all.forwarding=1')
        self.prefix6, self.wan6, self.lan6 = prefix6, None, None
        self.dev, self.port = 'lan', 0
        self.lock = threading.Lock()
        self.load()
        self.sysctl(f'net.netfilter.nf_conntrack_udp_timeout={udp_s}', f'net.netfilter.nf_conntrack_udp_timeout_stream={stream_s}')
        if self.internet is outside:
            third, fourth = (int(byte) for byte in self.wan.split('.')[2:])
            self.wan6 = f'{LINK6}{third + 256:x}:{fourth:x}'  # of the link, whether or not the LAN has any
            ip(self.ns, f'addr add {self.wan6}/64 dev wan nodad')
            self.internet.attach(self.ns, 'wan')
        if prefix6:
            self.route6()

    def next_port(self):
        with self.lock:
            self.port += 1
            return f'r{self.port}'

    def wan4(self, wan):
        if isinstance(self.outside, Router):
            self.outside.customers += 1
            return f'{self.outside.lan}.{self.outside.customers + 1}', 24, f'{self.outside.lan}.1'
        number = self.outside.number()
        return wan or f'198.19.{number // 250}.{number % 250 + 1}', 24 if wan else 15, None

    def route6(self):
        """The home's LAN is subnet 1 of its /48; the link between a carrier and its customer is subnet c."""
        self.lan6 = f'{self.prefix6}:{"c" if self.carrier else "1"}::'
        ip(self.ns, f'addr add {self.lan6}1/64 dev lan nodad')
        if isinstance(self.outside, Internet):
            self.outside.route(f'{self.prefix6}::/48', self.wan6, self.ns)
        else:
            self.wan6 = f'{self.outside.lan6}{self.outside.customers + 1:x}'
            ip(self.ns, f'addr add {self.wan6}/64 dev wan nodad', f'route add default via {self.outside.lan6}1')
            ip(self.outside.ns, f'route add {self.lan6}/64 via {self.wan6}')

    def sysctl(self, *settings):
        run('ip', 'netns', 'exec', self.ns, 'sysctl', '-qw', *settings)

    def load(self):
        run('ip', 'netns', 'exec', self.ns, 'nft', '-f', '-', input='flush ruleset\n' + ruleset(self.kind, self.stream_s, not self.carrier))

    def become(self, kind):
        """Other rules from now on; connections that stand are remembered."""
        self.kind = kind
        self.load()

    def forget(self):
        """A reboot of the NAT: nothing is remembered, and the cones' tables are empty too."""
        run('ip', 'netns', 'exec', self.ns, 'conntrack', '-F')
        self.load()

    def popen(self, *argv, **how):
        process = subprocess.Popen(['ip', 'netns', 'exec', self.ns, *[str(a) for a in argv]], **how)
        self.lab.processes.append(process)
        self.daemons.append(process)
        return process

    def file(self, name, text):
        path = os.path.join(self.lab.folder, f'{self.ns}-{name}')
        with open(path, 'w', encoding='ascii') as out:
            out.write(text)
        return path

    def proxy(self):
        """tinyproxy on the LAN side, CONNECT to 443 alone; returns its URL."""
        log = os.path.join(self.lab.folder, f'{self.ns}-proxy.log')
        conf = self.file('proxy.conf', f'Port 8888\nListen {self.lan}.1\nTimeout 600\nMaxClients 50\nLogLevel Connect\nLogFile "{log}"\nConnectPort 443\n')
        self.popen('tinyproxy', '-d', '-c', conf, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(f'tinyproxy on {self.ns} listens', lambda: f'{self.lan}.1:8888' in run('ip', 'netns', 'exec', self.ns, 'ss', '-Hltn').stdout, 5)
        return f'http://{self.lan}.1:8888'

    def port_mapper(self, pcp=True, upnp=True):
        """miniupnpd: PCP with NAT-PMP, and UPnP, on the LAN. It wants a WAN address that is no reserved one."""
        run('ip', 'netns', 'exec', self.ns, 'nft', '-f', '-', input=IGD)
        conf = self.file('igd.conf', IGD_CONF.format(lan=self.lan, pcp='yes' if pcp else 'no', upnp='yes' if upnp else 'no', leases=os.path.join(self.lab.folder, f'{self.ns}-leases')))
        log = open(os.path.join(self.lab.folder, f'{self.ns}-igd.log'), 'wb')
        self.popen('miniupnpd', '-d', '-f', conf, '-P', os.path.join(self.lab.folder, f'{self.ns}-igd.pid'), stdout=log, stderr=log)
        port = ':5351' if pcp else ':1900'
        until(f'miniupnpd on {self.ns} listens', lambda: port in run('ip', 'netns', 'exec', self.ns, 'ss', '-Hlun').stdout, 5)

    def mappings(self):
        """The inbound rules miniupnpd made, as nft prints them."""
        shown = run('ip', 'netns', 'exec', self.ns, 'nft', '-n', 'list', 'chain', 'inet', 'igd', 'mapped').stdout
        return [line.strip() for line in shown.splitlines() if 'dnat' in line]

    def close(self):
        for process in self.daemons:
            if process.poll() is None:
                process.terminate()
                process.wait(5)
        if isinstance(self.outside, Internet):
            self.outside.leave(self.ns)
        run('ip', '-n', self.outside.ns, 'link', 'del', self.uplink, code=None)
        run('ip', 'netns', 'del', self.ns, code=None)


# Before the router's own chains (dstnat, srcnat), so that a mapping wins over masquerading.
IGD = '''
table inet igd {
	chain forward {
		type filter hook forward priority filter;
		jump passed
	}
	chain passed {
	}
	chain enter {
		type nat hook prerouting priority -110;
		jump mapped
	}
	chain mapped {
	}
	chain leave {
		type nat hook postrouting priority 90;
		jump returned
	}
	chain returned {
	}
}
'''
IGD_CONF = '''ext_ifname=wan
listening_ip=lan
port=0
enable_natpmp={pcp}
enable_upnp={upnp}
secure_mode=yes
system_uptime=yes
lease_file={leases}
uuid=6f1d2c3a-0b54-4c2e-9d3e-1a2b3c4d5e6f
upnp_table_name=igd
upnp_nat_table_name=igd
upnp_forward_chain=passed
upnp_nat_chain=mapped
upnp_nat_postrouting_chain=returned
allow 1024-65535 {lan}.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
'''


class Inside(Host):
    """A host on the LAN side of a router; move() puts it behind another one, its namespace and daemons' homes stay."""

    def __init__(self, lab, name):
        super().__init__(lab, name, None)
        self.run('sysctl', '-qw', *NO_DAD)
        lab.hosts[name] = self
        self.router = self.address6 = None

    def move(self, router, number):
        if self.router:
            run('ip', '-n', self.ns, 'link', 'del', 'u', code=None)
        self.router = router
        self.address = f'{router.lan}.{number}'
        port = router.next_port()
        ip(router.ns, f'link add {port} type veth peer name u netns {self.ns}', f'link set {port} master {router.dev} up')
        lines = ['link set u up', f'addr add {self.address}/24 dev u', f'route add default via {router.lan}.1']
        self.address6 = f'{router.lan6}{number:x}' if router.lan6 else None
        if self.address6:
            lines += [f'addr add {self.address6}/64 dev u nodad', f'route add default via {router.lan6}1']
        ip(self.ns, *lines)


class Prober:
    """What a NAT does, asked as RFC 5780 (4.3, 4.4) does: two addresses with two ports each on the internet say what they see."""

    WAIT_S = 0.4

    def __init__(self, host, second):
        self.socket = {(a, p): socket_in(host.ns, socket.AF_INET, socket.SOCK_DGRAM, (address, 3478 + p))
                       for a, address in enumerate((host.address, second)) for p in (0, 1)}

    def close(self):
        for each in self.socket.values():
            each.close()

    def seen(self, client, server):
        """The address our server sees, None if nothing gets there."""
        word = os.urandom(8)
        client.sendto(word, server.getsockname())
        return self.heard(server, word)

    def heard(self, receiver, word):
        end = time.monotonic() + self.WAIT_S
        while (left := end - time.monotonic()) > 0:
            if select.select([receiver], [], [], left)[0]:
                got, whence = receiver.recvfrom(2048)
                if got == word:
                    return whence
        return None

    def reaches(self, server, mapped, client):
        word = os.urandom(8)
        server.sendto(word, mapped)
        return self.heard(client, word) is not None

    def client(self, host, port):
        return socket_in(host.ns, socket.AF_INET, socket.SOCK_DGRAM, (host.address, port))

    def mapping(self, host, port):
        """independent, address, port (= address and port-dependent), or none; and the first mapped address."""
        with self.client(host, port) as client:
            first, other_port, other = (self.seen(client, self.socket[at]) for at in ((0, 0), (0, 1), (1, 0)))
        if not first or not other_port or not other:
            return 'none', first
        return 'independent' if first == other_port == other else 'address' if first == other_port else 'port', first

    def filtering(self, host, port):
        """independent, address, port, or none (no UDP)."""
        with self.client(host, port) as client:
            mapped = self.seen(client, self.socket[0, 0])
            if not mapped:
                return 'none'
            if not self.reaches(self.socket[0, 0], mapped, client):
                return 'nothing returns'
            if self.reaches(self.socket[1, 0], mapped, client):
                return 'independent'
            return 'address' if self.reaches(self.socket[0, 1], mapped, client) else 'port'

    def unspoilt(self, host, port):
        """Does the mapping stay the same to one who spoke before he was spoken to?"""
        with self.client(host, port) as client:
            first = self.seen(client, self.socket[0, 0])
            self.reaches(self.socket[1, 0], first, client)
            return self.seen(client, self.socket[1, 0]) == first
