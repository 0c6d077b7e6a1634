"""What the controller shows of a network's traffic is what its members counted: through all three ranges, a controller that is killed between two
reports, and members whose last words are said when they stop."""
import re

from lab import until

PINGS = 400


def own(node, nwid):
    """What the node counts itself, by the page for Prometheus."""
    text = node.cli('metrics').stdout
    names = ('rx_bytes', 'tx_bytes', 'rx_frames', 'tx_frames')
    return {name: int(re.search(rf'^farlan_node_{name}_total{{network="{nwid}"}} (\d+)', text, re.M).group(1)) for name in names}


def told(lab, member, last='1h'):
    return lab.controller.json('traffic', lab.nwid, '--last', last, *(['--member', member] if member else []))


def agree(lab, what, shown, counted):
    """The counters were read a moment before the last report: a frame of the kernel's own may lie between."""
    for name, n in counted.items():
        lab.check(n <= shown[name] <= n * 1.01 + (400 if name.endswith('bytes') else 4), f'{what}: {name}: {shown[name]} shown, {n} counted')


def run(lab):
    lab.start('AB')
    a, b = (lab.nodes[name] for name in 'AB')
    addresses = {name: lab.nodes[name].address() for name in 'AB'}
    lab.equal(a.host.ping(lab.ip('B'), count=PINGS // 2, interval=0.01, size=1000), PINGS // 2, 'pings')
    until('the first reports are written', lambda: told(lab, addresses['A'])['totals']['tx_frames'] and told(lab, addresses['B'])['totals']['tx_frames'], 40)
    lab.controller.kill()
    lab.equal(a.host.ping(lab.ip('B'), count=PINGS // 2, interval=0.01, size=1000), PINGS // 2, 'pings while nobody counts them')
    lab.controller.start()
    until('both are back', lambda: all(m['online'] for m in lab.controller.json('member', 'list', lab.nwid)['members']), 40)
    counted = {}
    for name in 'AB':
        counted[addresses[name]] = own(lab.nodes[name], lab.nwid)
        lab.nodes[name].stop()
    for address, figures in counted.items():
        lab.check(figures['tx_bytes'] > PINGS * 1000, f'{address} sent {figures}')
        until(f'the last words of {address} are written', lambda: told(lab, address)['totals']['tx_bytes'] >= figures['tx_bytes'], 25)
        for last in ('1h', '24h', '30d'):
            agree(lab, f'{address} in {last}', told(lab, address, last)['totals'], figures)
    both = {name: sum(figures[name] for figures in counted.values()) for name in next(iter(counted.values()))}
    network = told(lab, None)
    agree(lab, 'the network', network['totals'], both)
    lab.equal({m['address'] for m in network['members']}, set(addresses.values()), 'who carried most')
    lab.check(any(network['rtt_us']) and network['reporting'] <= 2, f'round trips {[n for n in network["rtt_us"] if n]}, {network["reporting"]} reporting')
    shown = lab.controller.cli('traffic', lab.nwid).stdout
    lab.check(re.search(r'^rx    .*█.*at most .*bit/s$', shown, re.M) and addresses['A'] in shown, f'the picture:\n{shown}')
    lab.controller.cli('traffic', lab.nwid, '--last', '1y', code=2)
    lab.equal(len(lab.controller.cli('-o', 'jsonl', 'traffic', lab.nwid, '--last', '24h').stdout.splitlines()), 144, 'a line for each slot')
    lab.note(shown.rstrip().replace('\n', '\n    '))
