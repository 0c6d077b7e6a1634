"""Shows 3: Debian's isc-dhcp-server at A, its client at B, over the overlay alone."""
import os
import subprocess

from lab import until

CONFIG = '''default-lease-time 600; max-lease-time 600; authoritative; ping-check false;
subnet 10.99.0.0 netmask 255.255.255.0 { range 10.99.0.50 10.99.0.60; option routers 10.99.0.1; }
'''
SCRIPT = '''#!/bin/sh
echo "$reason $interface $new_ip_address $new_subnet_mask $new_routers" >> "%s"
'''


def run(lab):
    lab.start('AB', ipv4=None, join=False)
    for name in 'AB':
        lab.join(name)
    lab.controller.cli('member', 'set', lab.nwid, lab.nodes['A'].address(), '--dhcp-server', 'on')
    server, client = lab.nodes['A'].host, lab.nodes['B'].host
    server.run('ip', 'addr', 'add', '10.99.0.1/24', 'dev', lab.dev('A'))

    def file(name, text, mode=0o644):
        path = os.path.join(lab.folder, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(path, mode)
        return path
    os.chmod(lab.folder, 0o755)
    told = file('told', '')
    config, leases = file('dhcpd.conf', CONFIG), file('dhcpd.leases', '')
    with open(os.path.join(lab.folder, 'dhcpd.log'), 'wb') as log:
        daemon = server.popen('dhcpd', '-f', '-d', '-4', '-cf', config, '-lf', leases, '-pf', os.path.join(lab.folder, 'dhcpd.pid'),
                              '-user', 'root', '-group', 'root', lab.dev('A'), stdout=log, stderr=log)

    def output():
        with open(os.path.join(lab.folder, 'dhcpd.log'), encoding='utf-8', errors='replace') as f:
            return f.read()
    until('dhcpd serves', lambda: 'Server starting service' in output() or daemon.poll() is not None, 5)
    script = file('script', SCRIPT % told, 0o755)
    asked = client.popen('dhclient', '-4', '-1', '-d', '-lf', os.path.join(lab.folder, 'client.leases'),
                         '-pf', os.path.join(lab.folder, 'client.pid'), '-sf', script, lab.dev('B'),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def bound():
        with open(told, encoding='ascii') as f:
            return next((line.split() for line in f if line.startswith('BOUND')), None)
    lease = until('dhclient at B is bound', bound, 20)
    lab.equal(lease[1], lab.dev('B'), 'interface')
    lab.check(lease[2].startswith('10.99.0.5') or lease[2] == '10.99.0.60', f'address {lease[2]} of the range')
    lab.equal(lease[3:5], ['255.255.255.0', '10.99.0.1'], 'mask and router')
    mac = lab.nodes['B'].network(lab.nwid)['mac']
    lab.check(f'DHCPACK on {lease[2]} to {mac}' in output(), f'the server knows the client by its overlay MAC {mac}:\n{output()}')
    client.run('ip', 'addr', 'add', f'{lease[2]}/24', 'dev', lab.dev('B'))
    lab.equal(client.ping('10.99.0.1', wait=2), 1, 'ping to the server by the leased address')
    asked.terminate()
    asked.wait(5)
