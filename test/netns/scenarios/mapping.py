"""Real routers with miniupnpd: the mapping is made by each protocol alone, seen in nft, made again after the router's daemon forgot it, and gone
after a clean stop; a router that hangs holds nobody up; two symmetric NATs go direct by one mapping."""
import os
import signal

from lab import Daemon, now, run as command, until
from nat_cells import Slot, World
from nat_more import PUBLIC, public, upnp_cell
from routers import Inside, Router

# A router that speaks NAT-PMP and drops what it does not know: PCP's MAP has 60 bytes.
ONLY_OLD = '''
table inet old {
	chain input {
		type filter hook input priority filter;
		udp dport 5351 udp length 68 drop
	}
}
'''
# protocol, what miniupnpd speaks, rules besides, seconds to the mapping (UPnP begins a second late and waits a second for answers)
CASES = (('pcp', {'upnp': False}, None, 1.5), ('nat_pmp', {'upnp': False}, ONLY_OLD, 2.5), ('upnp', {'pcp': False}, None, 6.0))
AGAIN_S = 8.0  # a gateway is not asked twice in five seconds
STOP_S = 2.0


def nft(router, *argv, **how):
    return command('ip', 'netns', 'exec', router.ns, 'nft', *argv, **how)


def holes(router):
    """Rules that let mapped packets through, IPv4 and IPv6."""
    shown = nft(router, 'list', 'chain', 'inet', 'igd', 'passed').stdout
    return [line.strip() for line in shown.splitlines() if 'accept' in line]


def portmap(node):
    return node.json('netcheck').get('portmap', {})


def held(node, version=4):
    return next((h for h in portmap(node).get('held', ()) if (h['external'][0] == '[') == (version == 6)), None)


def forget(router, how):
    """miniupnpd ends without tidying up, and the one after it knows nothing."""
    router.daemons[-1].kill()
    router.daemons[-1].wait()
    for chain in ('mapped', 'passed', 'returned'):
        nft(router, 'flush', 'chain', 'inet', 'igd', chain)
    leases = os.path.join(router.lab.folder, f'{router.ns}-leases')
    if os.path.exists(leases):
        os.unlink(leases)
    nft(router, 'delete', 'table', 'inet', 'igd')
    router.port_mapper(**how)


def timed_stop(lab, node, what):
    began = now()
    node.stop()
    lab.within(now() - began, STOP_S, f'{what}: the node stops')


def case(lab, world, node, protocol, how, rules, limit):
    wan = PUBLIC % next(public)
    prefix6 = f'2001:db8:{next(world.serial):x}'
    router = Router(world.internet, f'm{protocol[0]}', 'symmetric', prefix6=prefix6, wan=wan)
    if rules:
        nft(router, '-f', '-', input=rules)
    node.host.move(router, 10)
    router.port_mapper(**how)
    node.start()
    began = now()
    until(f'a mapping by {protocol}', lambda: held(node), 15)
    lab.within(now() - began, limit, f'{protocol}: mapped')
    mapping = held(node)
    lab.equal(mapping['by'], protocol, 'who made it')
    lab.equal(mapping['external'], f'{wan}:9993', 'outside')
    lab.equal(mapping['internal'], f'{node.host.address}:9993', 'inside')
    lab.check(mapping['global'], f'{wan} is a global address')
    lab.check(0 < mapping['left_s'] <= 7200, f'lifetime: {mapping}')
    lab.equal(portmap(node)[protocol]['answer'], 'yes', f'what netcheck says of {protocol}')
    lab.equal([f'dnat ip to {node.host.address}:9993' in rule for rule in router.mappings()], [True], f'nft has one mapping: {router.mappings()}')
    if protocol == 'pcp':
        until('a hole in the IPv6 firewall', lambda: held(node, 6), 5)
        lab.equal(held(node, 6)['external'], f'[{node.host.address6}]:9993', 'IPv6 outside')
        lab.equal(len(holes(router)), 2, f'one hole for each: {holes(router)}')
    if protocol != 'upnp':
        forget(router, how)
        began = now()
        until(f'{protocol}: mapped again', router.mappings, 20)
        lab.within(now() - began, AGAIN_S, f'{protocol}: mapped again after the router forgot')
    timed_stop(lab, node, protocol)
    lab.equal((router.mappings(), holes(router)), ([], []), f'{protocol}: what is left after a clean stop')
    router.close()


def hangs(lab, world, node):
    """The router's daemon is stopped, not ended: its ports stay open and nobody answers."""
    router = Router(world.internet, 'mh', 'symmetric', wan=PUBLIC % next(public))
    node.host.move(router, 10)
    router.port_mapper()
    node.start()
    until('a mapping', lambda: held(node), 15)
    router.daemons[-1].send_signal(signal.SIGSTOP)
    timed_stop(lab, node, 'hanging router, held')
    node.start()
    until('UPnP is tried too', lambda: portmap(node)['asking'], 5)
    timed_stop(lab, node, 'hanging router, asking')
    router.daemons[-1].send_signal(signal.SIGCONT)
    router.close()


def unwanted(lab, world, node):
    router = Router(world.internet, 'mu', 'symmetric', wan=PUBLIC % next(public))
    node.host.move(router, 10)
    router.port_mapper()
    with open(os.path.join(node.home, 'farland.conf'), 'w', encoding='ascii') as file:
        file.write('port-mapping = none\n')
    node.start().online(30)
    lab.equal((portmap(node)['on'], router.mappings()), (False, []), 'port-mapping = none')
    node.stop()
    router.close()


def run(lab):
    world = World(lab)
    world.public = True
    world.internet.route(PUBLIC[:-2] + '0/24')
    node = Daemon(lab, Inside(lab, 'M'), 'farland', ['--add-root', world.root_line])
    for protocol, how, rules, limit in CASES:
        case(lab, world, node, protocol, how, rules, limit)
    hangs(lab, world, node)
    unwanted(lab, world, node)
    slot = Slot(world, 1)
    slot.members()
    result = upnp_cell(slot, 'pcp', 'none')
    lab.note(result.line())
    lab.check(not result.wrong, '\n       '.join([result.line(), *result.detail]))
