"""A network without a pool: members have their derived IPv6 addresses only, also after a restart; leave takes the device away."""
from lab import until


def both_ways(lab, when):
    for a, b in ('AB', 'BA'):
        lab.nodes[a].host.reaches(lab.ip(b, 6), 10)
        lab.equal(lab.nodes[a].host.ping(lab.ip(b, 6), count=20, interval=0.02), 20, f'pings {a} -> {b} {when}')


def run(lab):
    a, b = lab.start('AB', ipv4=None)
    derived = {name: lab.ip(name, 6) for name in 'AB'}
    for name, node in (('A', a), ('B', b)):
        addresses = node.network(lab.nwid)['addresses']
        lab.equal([x for x in addresses if ':' not in x], [], f'IPv4 addresses of {name}')
        shown = node.host.run('ip', '-4', 'addr', 'show', 'dev', lab.dev(name)).stdout
        lab.equal(shown, '', f'IPv4 on the device of {name}')
        lab.equal(lab.members()[node.address()]['ips'], [], f'addresses the controller gave {name}')
    both_ways(lab, 'after the join')
    mac, dev = lab.tap_mac('B'), lab.dev('B')
    b.stop()
    lab.equal(b.taps(), [], 'devices at B while its node is down')
    b.start()
    b.cli('wait', lab.nwid, '--wait', 20 * lab.slow)
    lab.equal((lab.ip('B', 6), lab.tap_mac('B'), lab.dev('B')), (derived['B'], mac, dev), 'address, MAC and device after the restart')
    both_ways(lab, 'after the restart')
    b.cli('leave', lab.nwid)
    until('the device of B is gone', lambda: not b.taps(), 2)
    lab.check(lab.nwid not in [n['id'] for n in b.json('networks')['networks']], 'B still lists the network it left')
    lab.equal(a.host.ping(derived['B']), 0, 'answers of the one that left')
    lab.equal(a.taps(), [lab.dev('A')], 'devices at A')
