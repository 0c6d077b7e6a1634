"""vm.py: a virtual machine without a disk. It boots from its network card: iPXE in the card's ROM asks for DHCP, gets a script by TFTP,
and with it Debian's kernel and an initramfs that is made here: busybox, the card's modules and an init that tells what it sees on the
serial console. .ci/kernel has fetched the kernel; KVM where it works, else emulation, which is some ten times slower.
"""
import lzma
import os
import re
import stat
import subprocess

from lab import TREE, Failure

KERNEL = os.path.join(TREE, 'build', 'kernel')
BUSYBOX = '/bin/busybox'
CARD = 'virtio_net'
BUS = 'virtio_pci'
MEMORY_MB = 256
LARGE = 8 << 20  # a file the machine loads by itself, and tells the digest of

SCRIPT = '''#!ipxe
kernel vmlinuz console=ttyS0,115200 quiet panic=-1
initrd initrd
boot
'''

INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
echo "vm: kernel $(uname -r)"
for module in %(modules)s; do insmod /modules/$module || echo "vm: no module $module"; done
for i in $(seq 50); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 -T 2 -s /dhcp || echo "vm: no lease"
for to in %(targets)s; do
	got=$(ping -c %(pings)d -i 0.1 -W 2 -s %(size)d "$to" | sed -n 's/.* \\([0-9]*\\) packets received.*/\\1/p')
	echo "vm: ping $to ${got:-0}"
done
tftp -g -b 1428 -r large -l /tmp/large "$(cat /tmp/server)" && echo "vm: large $(sha256sum /tmp/large | cut -d' ' -f1)"
echo "vm: done"
%(after)s
poweroff -f
'''

DHCP = '''#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
echo "${siaddr:-$serverid}" > /tmp/server
echo "vm: lease $ip from $serverid"
'''


def depends(path):
    """What a module names as its needs."""
    with open(path, 'rb') as file:
        data = file.read()
    data = lzma.decompress(data) if path.endswith('.xz') else data
    names = re.search(rb'\0depends=([^\0]*)\0', data)
    return data, [name for name in names[1].decode().split(',') if name] if names else []


def modules():
    """[(name, bytes)] in the order in which they can be loaded."""
    files = {re.split(r'\.ko', name)[0]: os.path.join(KERNEL, name) for name in os.listdir(KERNEL) if '.ko' in name}
    loaded = {}

    def load(name):
        if name in loaded or name not in files:
            return  # built in
        data, needs = depends(files[name])
        for need in needs:
            load(need)
        loaded[name] = data
    load(BUS)
    load(CARD)
    if CARD not in loaded:
        raise Failure(f'no {CARD} in {KERNEL}: run .ci/deps lan')
    return list(loaded.items())


class Archive:
    """cpio of the "newc" kind, which the kernel unpacks into its first file system."""

    def __init__(self):
        self.data, self.inode = b'', 0

    def add(self, name, mode, content=b'', device=(0, 0)):
        self.inode += 1
        path = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
        self.data += b'070701' + b''.join(b'%08x' % f for f in fields) + path
        self.data += bytes(-len(self.data) % 4) + content + bytes(-len(content) % 4)

    def end(self):
        self.add('TRAILER!!!', 0)
        return self.data


def initramfs(targets, pings=5, size=56, after=''):
    """targets: what it pings; after: a last piece of shell before it turns itself off."""
    archive, wanted = Archive(), modules()
    for folder in ('bin', 'dev', 'proc', 'sys', 'tmp', 'modules'):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add('dev/console', stat.S_IFCHR | 0o600, device=(5, 1))
    with open(BUSYBOX, 'rb') as file:
        archive.add('bin/busybox', stat.S_IFREG | 0o755, file.read())
    for name, data in wanted:
        archive.add(f'modules/{name}', stat.S_IFREG | 0o644, data)
    init = INIT % {'modules': ' '.join(name for name, _ in wanted), 'targets': ' '.join(targets), 'pings': pings, 'size': size, 'after': after}
    archive.add('init', stat.S_IFREG | 0o755, init.encode())
    archive.add('dhcp', stat.S_IFREG | 0o755, DHCP.encode())
    return archive.end()


def accelerator():
    """Without the processor's help a kernel may offer KVM all the same, and give up in the middle of the firmware."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        helps = re.search(r'^flags\b.*\b(vmx|svm)\b', file.read(), re.M)
    return 'kvm' if helps and os.access('/dev/kvm', os.R_OK | os.W_OK) else 'tcg'


class Machine:
    """A running one; its card is the TAP device tap of the host, which the caller has put where it belongs."""

    def __init__(self, host, tap, mac, console):
        self.console = console
        self.process = host.popen(
            'qemu-system-x86_64', '-name', f'farlan-{host.name}', '-machine', 'pc', '-accel', accelerator(), '-m', MEMORY_MB,
            '-nodefaults', '-display', 'none', '-no-reboot', '-boot', 'n', '-serial', f'file:{console}',
            '-netdev', f'tap,id=net,ifname={tap},script=no,downscript=no', '-device', f'virtio-net-pci,netdev=net,mac={mac}',
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def told(self):
        """The lines of its init, without what the firmware and the kernel say."""
        with open(self.console, encoding='ascii', errors='replace') as file:
            return re.findall(r'vm: ([^\r\n]+)[\r\n]', file.read())

    def running(self):
        return self.process.poll() is None

    def last(self, n=15):
        with open(self.console, encoding='ascii', errors='replace') as file:
            text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\r', '', file.read())
        return '\n'.join(text.splitlines()[-n:])

    def stop(self):
        if self.running():
            self.process.kill()
        return self.process.communicate()[1].decode(errors='replace')
