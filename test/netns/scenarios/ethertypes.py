"""A network lets pass what its list of EtherTypes names: other frames die at the sender's own node and, of a member that checks nothing itself
(lawless), at the receiver's, each counted; ping goes on. An own node does not answer questions that it would not send. Taken away, the list lets
all pass again, at once. So does the switch of the derived IPv6: off, no device has the address and nobody answers for it; on, all is as before.
"""
from lab import until
from scenarios.guards import BROADCAST, COUNT, Watch, lawless

IPX = b'\x81\x37' + b'\xff\xff' + bytes(58)
LLC = b'\x00\x2e' + b'\xe0\xe0\x03' + bytes(55)
TAGGED = b'\x81\x00\x00\x05\x08\x00' + bytes(54)
LISTED = 'ipv4,arp,0x88b5'  # the last for Watch's marks


def set_network(lab, names, *options):
    """And until the members have it."""
    version = {name: lab.nodes[name].network(lab.nwid)['version'] for name in names}
    lab.controller.cli('network', 'set', lab.nwid, *options)
    for name in names:
        until(f'{name} has the new configuration', lambda: lab.nodes[name].network(lab.nwid)['version'] > version[name], 10)


def stopped_at_home(lab, watch, what, frame):
    """D keeps to the law: its node drops what its device sends, and nothing of it comes to B."""
    d = lab.nodes['D']
    had, before = watch.count(frame), d.drops().get('ethertype', 0)
    watch.send('D', [frame] * COUNT)
    died = d.drops().get('ethertype', 0) - before
    lab.check(COUNT <= died < 2 * COUNT, f'{what} of D: D counted {died}')  # its kernel says a little IPv6 besides
    lab.equal((watch.count(frame) - had, watch.blamed(d).get('ethertype', 0)), (0, 0), f'{what} of D: frames and drops at B')


def listed(lab, watch, frames):
    a, b, d = (lab.nodes[name] for name in 'ABD')
    lab.equal(lab.controller.json('network', 'show', lab.nwid)['ethertypes'], [0x0800, 0x0806, 0x88b5], 'the list at the controller')
    for what, (of_a, of_d) in frames.items():
        watch.refused(what, of_a, 'ethertype')
        stopped_at_home(lab, watch, what, of_d)
    for one in (a, d):
        lab.equal(one.host.ping(lab.ip('B'), count=10), 10, f'pings of {one.host.name} while others are refused')
    d.host.run('ip', 'neigh', 'flush', 'dev', lab.dev('D'))
    lab.equal(d.host.ping(lab.ip('B', 6), count=2), 0, 'IPv6 is not listed')
    lab.check(lab.tap_mac('B').hex(':') not in d.host.run('ip', '-6', 'neigh', 'show', 'dev', lab.dev('D')).stdout, 'D answered for B what it would not send')


def derived(lab):
    b, d = lab.nodes['B'], lab.nodes['D']
    address = lab.ip('B', 6)

    def there():
        return address in b.host.run('ip', '-6', 'addr', 'show', 'dev', lab.dev('B')).stdout
    lab.equal((there(), d.host.ping(address, count=3)), (True, 3), 'the derived IPv6 before')
    set_network(lab, 'BD', '--ipv6-auto', 'off')
    until('the address is gone from the device', lambda: not there(), 3)
    lab.equal([a for a in b.network(lab.nwid)['addresses'] if ':' in a], [], 'IPv6 addresses that B shows')
    lab.equal(lab.members()[b.address()]['ipv6'], None, 'at the controller')
    d.host.run('ip', 'neigh', 'flush', 'dev', lab.dev('D'))
    d.host.run('ip', '-6', 'addr', 'add', 'fd00::d/64', 'dev', lab.dev('D'), 'nodad')
    d.host.run('ip', '-6', 'route', 'add', address, 'dev', lab.dev('D'))
    lab.equal(d.host.ping(address, count=2), 0, 'answers of an address that nobody has')
    lab.check(lab.tap_mac('B').hex(':') not in d.host.run('ip', '-6', 'neigh', 'show', 'dev', lab.dev('D')).stdout, 'D answers for it')
    lab.equal(d.host.ping(lab.ip('B'), count=5), 5, 'IPv4 goes on')
    set_network(lab, 'BD', '--ipv6-auto', 'on')
    until('the address is back', there, 3)
    d.host.reaches(address, 5)


def run(lab):
    lab.start('BD')
    lawless(lab, 'A')
    lab.meshed('ABD')
    lab.hosts['A'].run('sysctl', '-qw', f'net.ipv6.conf.{lab.dev("A")}.disable_ipv6=1')  # what its kernel says besides would be counted, too
    watch = Watch(lab)
    mac = {name: lab.tap_mac(name) for name in 'ABD'}
    frames = {what: tuple(to + mac[name] + body for name in 'AD')
              for what, to, body in (('IPX', mac['B'], IPX), ('IPX to all', BROADCAST, IPX), ('LLC', BROADCAST, LLC), ('a tag', mac['B'], TAGGED))}
    for what, (of_a, of_d) in frames.items():
        watch.passes(f'{what} before', of_a)
    set_network(lab, 'ABD', '--ethertypes', LISTED)
    listed(lab, watch, frames)
    set_network(lab, 'ABD', '--ethertypes', 'all')
    for what, (of_a, of_d) in frames.items():
        watch.passes(f'{what} after', of_d, 'D')
    watch.got.stop()
    derived(lab)
