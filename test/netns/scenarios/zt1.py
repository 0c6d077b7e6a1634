"""The life of a network by ZeroTier One's API alone, the controller's and the node's: made, joined, seen as pending, let in, named, given
addresses, routes, DNS and the right to bridge, seen directly, by a relay and offline, deleted. Our own API says the same after each step,
and told who listens to it without being asked."""
import json
import os
import sys
import threading
import time

from lab import TREE, until

sys.path.insert(0, os.path.join(TREE, 'test', 'api'))
import client  # noqa: E402
import zt1_clients as zt1  # noqa: E402
import zt1_lab  # noqa: E402

DIRECT_S = 45  # until a pair tries again by itself after its direct way was blocked
TOLD_S = 3.0  # of a machine that is busy; it takes some 20 ms


class Page:
    """Who has our own page open: the changes it is told of."""

    def __init__(self, lab):
        self.lab = lab
        self.socket = client.by_socket(os.path.join(lab.controller.home, 'farlan-controller.sock'))
        self.lines = self.socket.stream('/v1/events', {'Accept': 'application/x-ndjson'})
        self.told = []
        threading.Thread(target=self.read, daemon=True).start()
        until('the page is told hello', lambda: self.told, 5)

    def read(self):
        while line := self.lines.readline():
            self.told.append(json.loads(line))

    def get(self, path):
        return self.socket.ask('GET', path).json()

    def hears(self, what, kinds, change):
        """What change() returns, after the page was told of it."""
        seen = len(self.told)
        began = time.monotonic()
        result = change()

        def told():
            return [e for e in self.told[seen:] if e.get('event') == 'change' and (e.get('data') or e).get('kind') in kinds]
        until(f'the page is told of {what}', told, 5)
        spent = time.monotonic() - began
        self.lab.check(spent < TOLD_S * self.lab.slow, f'{what} was told after {spent:.2f} s')
        return result


def online(p, address):
    """direct, relay or none, as their interfaces see it."""
    peer = p.get(f'/peer/{address}')
    if not peer:
        return 'none'
    return 'relay' if peer['latency'] == -1 else 'direct'


def made(lab, p, page):
    me = p.get('/status')['address']
    wish = {'name': 'by zt1', 'ipAssignmentPools': zt1.pools('10.94.0.10', '10.94.0.50'), 'routes': [{'target': '10.94.0.0/24', 'via': None}], 'v4AssignMode': {'zt': True}}
    nwid = page.hears('a new network', ('network',), lambda: p.post(zt1.net(f'{me}______'), wish))['nwid']
    ours = page.get(f'/v1/networks/{nwid}')
    lab.equal((ours['name'], ours['ipv4'], ours['ranges'], ours['public']), ('by zt1', '10.94.0.0/24', [{'first': '10.94.0.10', 'last': '10.94.0.50'}], False), 'our API')
    return nwid


def let_in(lab, p, page, nwid):
    """Both ask by their own node's API, A is let in by name and with an address of its own."""
    rows = f'/v1/networks/{nwid}/members'
    for name in 'AB':
        door = zt1.Program(lab, lab.nodes[name])
        address = lab.nodes[name].address()
        page.hears(f'{name} asking', ('member',), lambda door=door: door.post(f'/network/{nwid}', '{}'))
        until(f'{name} is pending', lambda address=address: p.get(f'{zt1.net(nwid)}/member').get(address) is not None, 10)
        lab.equal(p.get(zt1.member(nwid, address))['authorized'], False, f'{name} waits')
        lab.equal(page.get(f'{rows}/{address}')['state'], 'pending', f'{name} in our API')
        until('the machine says so', lambda door=door: door.get(f'/network/{nwid}')['status'] == 'ACCESS_DENIED', 5)
    a, b = lab.nodes['A'].address(), lab.nodes['B'].address()
    began = time.monotonic()
    got = page.hears('the approval', ('member',), lambda: p.post(zt1.member(nwid, a), {'authorized': True}))
    door = zt1.Program(lab, lab.nodes['A'])
    until('A works', lambda: door.get(f'/network/{nwid}')['status'] == 'OK', 10)
    lab.note(f'approved by zt1, joined {time.monotonic() - began:.2f} s later')
    lab.check(got['authorized'] is True and got['ipAssignments'] == ['10.94.0.10'], f'the first address of the range: {got}')
    lab.equal((page.get(f'{rows}/{a}')['state'], page.get(f'{rows}/{a}')['ips']), ('approved', ['10.94.0.10/24']), 'in our API')
    page.hears('the name', ('member',), lambda: p.post(zt1.member(nwid, a), {'name': 'desk'}))
    lab.equal(page.get(f'{rows}/{a}')['name'], 'desk', 'its name in our API')
    page.hears('the addresses', ('member',), lambda: p.post(zt1.member(nwid, a), {'ipAssignments': ['10.94.0.77']}))
    until('A has the other address', lambda: door.get(f'/network/{nwid}')['assignedAddresses'][0] == '10.94.0.77/24', 10)
    lab.equal(page.get(f'{rows}/{a}')['ips'], ['10.94.0.77/24'], 'its address in our API')
    p.post(zt1.member(nwid, b), {'authorized': True, 'name': 'laptop'})
    other = zt1.Program(lab, lab.nodes['B'])
    until('B works', lambda: other.get(f'/network/{nwid}')['status'] == 'OK', 10)
    lab.nodes['B'].host.reaches('10.94.0.77', 15)
    return a, b


def arranged(lab, p, page, nwid, a):
    """Routes, DNS and the right to bridge arrive at the machine."""
    door = zt1.Program(lab, lab.nodes['B'])
    routes = p.get(zt1.net(nwid))['routes'] + [{'target': '192.168.94.0/24', 'via': '10.94.0.77'}]
    page.hears('a route', ('network',), lambda: p.post(zt1.net(nwid), {'routes': routes}))
    ours = page.get(f'/v1/networks/{nwid}')
    lab.equal([(r['target'], r['via']) for r in ours['routes']], [('192.168.94.0/24', '10.94.0.77')], 'the route in our API')
    until('B has the route', lambda: any(r['via'] == '10.94.0.77' for r in door.get(f'/network/{nwid}')['routes']), 10)
    shown = lab.nodes['B'].host.run('ip', 'route', 'show', '192.168.94.0/24').stdout
    lab.check('via 10.94.0.77' in shown, f'the kernel of B has it: {shown}')
    dns = {'domain': 'zt.example', 'servers': ['10.94.0.77']}
    page.hears('the DNS', ('network',), lambda: p.post(zt1.net(nwid), {'dns': dns}))
    lab.equal(page.get(f'/v1/networks/{nwid}')['dns'], dns, 'DNS in our API')
    until('B knows it', lambda: door.get(f'/network/{nwid}')['dns'] == dns, 10)
    page.hears('the right to bridge', ('member',), lambda: p.post(zt1.member(nwid, a), {'activeBridge': True}))
    lab.check(page.get(f'/v1/networks/{nwid}/members/{a}')['flags']['bridge'] is True, 'the right to bridge in our API')
    until('A has the right', lambda: zt1.Program(lab, lab.nodes['A']).get(f'/network/{nwid}')['bridge'], 10)


def seen(lab, p, page, nwid, a, b):
    """The controller reaches A directly and B, whose way is blocked, by the root; A stops."""
    rows = f'/v1/networks/{nwid}/members'
    until('A is online, directly', lambda: online(p, a) == 'direct', 10)
    until('B is online by a relay', lambda: online(p, b) == 'relay', 10)
    path = p.get(f'/peer/{a}')['paths'][0]
    lab.equal(path['address'].split('/')[0], lab.hosts['A'].address, 'where A is')
    lab.equal(p.get(f'/peer/{b}')['paths'], [], 'paths of who is relayed')
    lab.equal([page.get(f'{rows}/{one}')['link'] for one in (a, b)], ['direct', 'relay'], 'links in our API')
    listed = {peer['address']: peer['latency'] for peer in p.get('/peer')}
    lab.check(listed[a] >= 0 and listed[b] == -1, f'the list of peers: {listed}')
    began = time.monotonic()
    lab.unblock('C', 'B')
    until('B is online directly, too', lambda: online(p, b) == 'direct', DIRECT_S)
    lab.note(f'direct {time.monotonic() - began:.1f} s after the way was opened')
    lab.equal(page.get(f'{rows}/{b}')['link'], 'direct', 'and in our API')
    began = time.monotonic()
    lab.nodes['A'].stop()
    until('A is offline', lambda: online(p, a) == 'none', 20)
    lab.note(f'offline {time.monotonic() - began:.1f} s after its end began')
    lab.equal((page.get(f'{rows}/{a}')['online'], a in [peer['address'] for peer in p.get('/peer')]), (False, False), 'and in our API')


def ended(lab, p, page, nwid, a, b):
    rows = f'/v1/networks/{nwid}/members'
    door = zt1.Program(lab, lab.nodes['B'])
    page.hears('the end of an approval', ('member',), lambda: p.post(zt1.member(nwid, b), {'authorized': False}))
    lab.equal(page.get(f'{rows}/{b}')['state'], 'revoked', 'B in our API')
    until('B is out', lambda: door.get(f'/network/{nwid}')['status'] == 'ACCESS_DENIED', 10)
    told = page.hears('a deleted member', ('member',), lambda: p.delete(zt1.member(nwid, a)))
    lab.equal((told['id'], page.socket.ask('GET', f'{rows}/{a}').status), (a, 404), 'A is gone')
    told = page.hears('a deleted network', ('network',), lambda: p.delete(zt1.net(nwid)))
    lab.equal((told['id'], page.socket.ask('GET', f'/v1/networks/{nwid}').status), (nwid, 404), 'the network is gone')
    lab.equal(door.delete(f'/network/{nwid}'), {'result': True}, 'B leaves')
    lab.equal(door.get('/network'), [], 'networks of B')


def run(lab):
    lab.start_root()
    for name in 'CAB':
        lab.host(name)
    lab.block('C', 'B')
    zt1_lab.prepare(lab, 'CAB')
    lab.start_controller()
    for name in 'AB':
        lab.start_node(name)
    lab.controller.online()
    for name in 'AB':
        lab.nodes[name].online()
    p, page = zt1.Program(lab, lab.controller), Page(lab)
    nwid = made(lab, p, page)
    a, b = let_in(lab, p, page, nwid)
    arranged(lab, p, page, nwid, a)
    seen(lab, p, page, nwid, a, b)
    ended(lab, p, page, nwid, a, b)
