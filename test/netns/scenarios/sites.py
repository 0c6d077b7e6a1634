"""Three sites with two hosts each behind Linux bridges are one LAN: everybody pings everybody, a DHCP server at one site serves the others, a
TCP transfer crosses unchanged. A host that moves to another site and says so (gratuitous ARP, or RARP as a virtual machine does) is missed
for a second at most; one that says nothing is found again by the first broadcast that asks for it.
"""
import os
import subprocess
import time

from lab import mac_bytes, now, run as command, until
from measure import Pings, Server, Transfer, whole
from sites import bridged

NAMES = 'ABD'
MOVED_S = 1.0
SIZE = 32 << 20
SILENT_S = 15  # with the asking host's ARP entry doubted after about 3 s instead of 30
CONFIG = '''default-lease-time 600; max-lease-time 600; authoritative; ping-check false;
subnet 10.99.0.0 netmask 255.255.255.0 { range 10.99.0.50 10.99.0.60; option routers 10.99.0.1; }
'''
SCRIPT = '''#!/bin/sh
echo "$reason $interface $new_ip_address" >> "%s"
'''


def meshed(lab, hosts, ip):
    """All pairs, each host's own ones at a time."""
    missing = {(a, b) for a in hosts for b in hosts if a != b}
    end = now() + 20 * lab.slow
    while missing and now() < end:
        asked = [(a, b, hosts[a].popen('ping', '-n', '-q', '-c', '1', '-W', '2', ip[b], stdout=subprocess.DEVNULL)) for a, b in missing]
        for a, b, ping in asked:
            if ping.wait(10) == 0:
                missing.discard((a, b))
    lab.equal(sorted(missing), [], 'pairs that do not reach each other')


def dhcp(lab, server, clients):
    def file(name, text, mode=0o644):
        path = os.path.join(lab.folder, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(path, mode)
        return path
    os.chmod(lab.folder, 0o755)
    server.run('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'lan')
    log_path = os.path.join(lab.folder, 'dhcpd.log')
    with open(log_path, 'wb') as log:
        daemon = server.popen('dhcpd', '-f', '-d', '-4', '-cf', file('dhcpd.conf', CONFIG), '-lf', file('dhcpd.leases', ''),
                              '-pf', os.path.join(lab.folder, 'dhcpd.pid'), '-user', 'root', '-group', 'root', 'lan', stdout=log, stderr=log)

    def serves():
        with open(log_path, encoding='utf-8', errors='replace') as f:
            return 'Server starting service' in f.read() or daemon.poll() is not None
    until('dhcpd serves', serves, 10)
    for client in clients:
        told = file(f'told-{client.name}', '')
        asked = client.popen('dhclient', '-4', '-1', '-d', '-lf', os.path.join(lab.folder, f'{client.name}.leases'),
                             '-pf', os.path.join(lab.folder, f'{client.name}.pid'), '-sf', file(f'script-{client.name}', SCRIPT % told, 0o755),
                             'lan', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def bound():
            with open(told, encoding='ascii') as f:
                return next((line.split() for line in f if line.startswith('BOUND')), None)
        lease = until(f'dhclient at {client.name} is bound', bound, 20)
        lab.check(lease[2].startswith('10.99.0.'), f'{client.name}: leased {lease[2]}')
        client.run('ip', 'addr', 'add', f'{lease[2]}/24', 'dev', 'lan')
        lab.equal(client.ping('10.99.0.1', wait=2), 1, f'{client.name}: ping to the server by the leased address')
        asked.terminate()
        asked.wait(5)
    daemon.terminate()
    daemon.wait(5)


def move(host, port, frm, to):
    """The other end of its cable goes from one site's bridge to another's. Nobody says a word."""
    command('ip', '-n', frm.host.ns, 'link', 'set', port, 'netns', to.host.ns)
    to.port(port)
    host.run('sh', '-c', 'until [ "$(cat /sys/class/net/lan/operstate)" = up ]; do sleep 0.01; done')


def garp(mac, ip):
    address = bytes(map(int, ip.split('.')))
    return b'\xff' * 6 + mac + b'\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01' + mac + address + bytes(6) + address + bytes(18)


def rarp(mac):
    """As a hypervisor sends it for a machine that arrived."""
    return b'\xff' * 6 + mac + b'\x80\x35\x00\x01\x08\x00\x06\x04\x00\x03' + mac + bytes(4) + mac + bytes(4) + bytes(18)


def migrate(lab, what, host, port, frm, to, pings, frame):
    """The clock runs while nobody could answer, too."""
    begun = now()
    move(host, port, frm, to)
    if frame:
        host.send('lan', frame)
    time.sleep(2.0)
    for ping in pings:
        lab.check(ping.last() > now() - 1.0, f'{what}: {ping} is answered')
        lab.within(ping.longest(begun - 0.1, now()), MOVED_S, f'{what}: {ping}: loss')


def behind(lab, node, bridge):
    """MACs."""
    address = lab.nodes[bridge].address()
    return [e['mac'] for e in lab.nodes[node].json('fdb')['entries'] if e['address'] == address]


def run(lab):
    sites = bridged(lab, NAMES, '--dhcp-server', 'on')
    hosts, ip = {}, {}
    for i, name in enumerate(NAMES):
        for k in (1, 2):
            ip[f'{name}{k}'] = f'10.50.{i}.{k}'
            hosts[f'{name}{k}'] = sites[name].cable(f'{name}{k}', f'10.50.{i}.{k}/16')
    meshed(lab, hosts, ip)
    dhcp(lab, hosts['A1'], [hosts['B2'], hosts['D2']])

    Server(hosts['B1'])
    transfer = Transfer(hosts['D1'], ip['B1'], SIZE, 30)
    whole(lab, transfer, transfer.end(40), 'from site to site')

    # A2 moves to B and back; what it says about it is all that is heard of it: it has no IPv6 that would speak up.
    mover, port = hosts['A2'], 'p1'
    command('ip', '-n', sites['A'].host.ns, 'link', 'set', port, 'name', 'mover')
    mover.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
    mac = mac_bytes(mover.mac('lan'))
    pings = [Pings(hosts[name], ip['A2'], 0.01) for name in ('A1', 'B1', 'D1')]
    time.sleep(1.0)
    migrate(lab, 'A to B with a gratuitous ARP', mover, 'mover', sites['A'], sites['B'], pings, garp(mac, ip['A2']))
    migrate(lab, 'B to A with a RARP', mover, 'mover', sites['B'], sites['A'], pings, rarp(mac))
    for ping in pings:
        ping.stop()

    # Silently to D: what leads astray is forgotten after 300 s (test/unit/fdb_test.c); but who asks for it finds it at once.
    asker = hosts['B1']
    asker.run('sysctl', '-qw', 'net.ipv4.neigh.lan.base_reachable_time_ms=3000', 'net.ipv4.neigh.lan.delay_first_probe_time=1')
    asker.run('ip', 'neigh', 'flush', 'dev', 'lan')
    asker.reaches(ip['A2'], 5)
    begun = now()
    move(mover, 'mover', sites['A'], sites['D'])
    asked = Pings(asker, ip['A2'], 0.1)
    until('the host that moved silently answers', lambda: asked.last() > begun, SILENT_S)
    lab.within(asked.at[0] - begun, SILENT_S, 'a silent move heals')
    asked.stop()

    # A site whose member loses the right is cut off at once, and what was behind it is not sent there any more.
    lab.equal(hosts['A1'].ping(ip['D1']), 1, 'ping to a host at D')
    lab.check(mac_bytes(hosts['D1'].mac('lan')).hex(':') in behind(lab, 'A', 'D'), 'A knows what is behind D')
    lab.controller.cli('member', 'set', lab.nwid, lab.nodes['D'].address(), '--bridge', 'off')
    until('A forgets what was behind D', lambda: not behind(lab, 'A', 'D'), 10)
    lab.equal(hosts['A1'].ping(ip['D1']), 0, 'a host behind a member that is no bridge any more')
    lab.controller.cli('member', 'set', lab.nwid, lab.nodes['D'].address(), '--bridge', 'on')
    hosts['A1'].reaches(ip['D1'], 15)
