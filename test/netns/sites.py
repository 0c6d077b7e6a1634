"""sites.py: LANs behind members. A site is a member whose device is a port of a Linux bridge br1 in its namespace, with hosts on
cables of their own. What a bridge would keep (BPDUs, LLDP) is let through only where a test says so."""
import lab as labs
from lab import run


class Site:
    def __init__(self, lab, name, dev=None):
        """dev: the member's device, for now or for later."""
        self.lab, self.name, self.host, self.hosts = lab, name, lab.hosts[name], []
        run('ip', '-n', self.host.ns, 'link', 'add', 'br1', 'type', 'bridge', 'mcast_snooping', '0')
        run('ip', '-n', self.host.ns, 'link', 'set', 'br1', 'up')
        if dev:
            self.port(dev)

    def port(self, dev):
        run('ip', '-n', self.host.ns, 'link', 'set', dev, 'master', 'br1', 'up')

    def cable(self, name, address=None):
        """A host of this site, its card "lan"."""
        host = labs.Host(self.lab, name, None)
        port = f'p{len(self.hosts)}'
        run('ip', '-n', host.ns, 'link', 'add', 'lan', 'type', 'veth', 'peer', 'name', port, 'netns', self.host.ns)
        self.port(port)
        run('ip', '-n', host.ns, 'link', 'set', 'lan', 'up')
        if address:
            run('ip', '-n', host.ns, 'addr', 'add', address, 'dev', 'lan')
        self.hosts.append(host)
        return host

    def tap(self, name):
        """A TAP device on the bridge, for a machine."""
        run('ip', '-n', self.host.ns, 'tuntap', 'add', name, 'mode', 'tap')
        self.port(name)


def bridged(lab, names, *options, mtu=1500):
    """Members whose devices are ports of their sites' bridges; options are for all of them. Returns {name: Site}."""
    lab.start_root()
    lab.start_controller()
    for name in names:
        lab.start_node(name)
    lab.controller.online()
    lab.nwid = lab.create(mtu=mtu, ipv4=None)
    sites = {}
    for name in names:
        lab.nodes[name].online()
        lab.join(name)
        lab.controller.cli('member', 'set', lab.nwid, lab.nodes[name].address(), '--bridge', 'on', *options)
        sites[name] = Site(lab, name, lab.dev(name))
    return sites
