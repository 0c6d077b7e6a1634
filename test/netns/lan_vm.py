"""A virtual machine at one site, all its servers at the other."""
import hashlib
import os
import time

import sites
import vm
from lab import now, run as command, until

TITLE = 'a virtual machine boots across the overlay: DHCP, PXE by TFTP, ping'

MAC = '52:54:00:77:00:01'
LIMIT_S = 180
PINGS, FULL = 20, 1472
SERVER, HOST = '10.50.0.1', '10.50.0.2'


def served(lab, server):
    """DHCP and TFTP at a LAN host; returns (what its log says, the large file's digest)."""
    folder, log = os.path.join(lab.folder, 'tftp'), os.path.join(lab.folder, 'dnsmasq.log')
    os.chmod(lab.folder, 0o755)
    os.makedirs(folder)
    large = os.urandom(vm.LARGE)
    for name, data in (('boot.ipxe', vm.SCRIPT.encode()), ('initrd', vm.initramfs([SERVER, HOST], PINGS, FULL)), ('large', large)):
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(data)
    command('cp', os.path.join(vm.KERNEL, 'vmlinuz'), folder)
    daemon = server.popen('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--port=0', '--interface=lan',
                          '--dhcp-range=10.50.0.50,10.50.0.60', '--dhcp-boot=boot.ipxe', '--enable-tftp', f'--tftp-root={folder}',
                          f'--dhcp-leasefile={lab.folder}/leases', f'--pid-file={lab.folder}/dnsmasq.pid', f'--log-facility={log}')

    def said():
        if not os.path.exists(log):
            return ''
        with open(log, encoding='utf-8', errors='replace') as file:
            return file.read()
    until('dnsmasq serves', lambda: 'TFTP root' in said() or daemon.poll() is not None, 5)
    return said, hashlib.sha256(large).hexdigest()


def told(lab, site, said):
    """What the machine said until it turned itself off, as {first word: the rest}, and the seconds from its start."""
    site.tap('vm0')
    machine = vm.Machine(site.host, 'vm0', MAC, os.path.join(lab.folder, 'console'))
    began = now()
    while machine.running() and now() < began + LIMIT_S:
        time.sleep(0.2)
    took, lines, last = now() - began, machine.told(), machine.last()
    complaint = machine.stop()
    if 'done' not in lines:
        lab.fail(f'the machine told {lines}; {complaint}\n{last}\n{said()[-2000:]}')
    words = {}
    for line in lines:
        first, _, rest = line.partition(' ')
        words.setdefault(first, []).append(rest)
    return words, took


def run(table):
    lab = table.lab
    both = sites.bridged(lab, 'AB')
    lab.controller.cli('member', 'set', lab.nwid, lab.nodes['A'].address(), '--dhcp-server', 'on')
    server, other = both['A'].cable('S', f'{SERVER}/24'), both['A'].cable('P', f'{HOST}/24')
    near = both['B'].cable('Q', '10.50.0.3/24')
    near.reaches(SERVER, 20)
    said, digest = served(lab, server)
    words, took = told(lab, both['B'], said)
    log = said()
    sent = {name: f'sent {lab.folder}/tftp/{name} to ' in log for name in ('boot.ipxe', 'vmlinuz', 'initrd', 'large')}
    table.note(f'accelerator {vm.accelerator()}, kernel {" ".join(words.get("kernel", ["?"]))}')
    table.most('from power on to power off', took, LIMIT_S, ' s', 0)
    table.row('leases given to the machine: firmware and system', log.count(f'DHCPACK(lan) {words.get("lease", ["?"])[0].split()[0]} {MAC}'),
              '>= 2', log.count(f'DHCPACK(lan) ') >= 2 and MAC in log)
    table.equal('files it got by TFTP', ' '.join(name for name, ok in sent.items() if ok), 'boot.ipxe vmlinuz initrd large')
    table.equal('lease as the machine tells it', words.get('lease', ['none'])[0].split()[-1], SERVER)
    table.equal(f'{vm.LARGE >> 20} MiB by TFTP, SHA-256', words.get('large', ['none'])[0][:16], digest[:16])
    pings = dict(word.split() for word in words.get('ping', []))
    for address in (SERVER, HOST):
        table.equal(f'answers of {address} to {PINGS} pings of {FULL + 42} bytes', pings.get(address), str(PINGS))
    table.equal('the other host knows the machine by its own MAC',
                MAC in command('ip', '-n', other.ns, 'neigh', 'show').stdout, True)
