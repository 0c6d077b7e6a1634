"""zt1_clients.py: what known programs ask of ZeroTier One's HTTP API, in their order and with their bodies, and what each of them reads in
the answers: against a real controller and real nodes. Each client is a function; a key that a client reaches through without looking
is reached through the same way here, so that its absence fails as it would there.

By itself (python3 test/api/zt1_clients.py) it makes a lab of its own; run.py calls run() with the one it has.
"""
import http.client
import ipaddress
import json
import os
import re
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'netns'))
sys.dont_write_bytecode = True
from lab import BIN, TREE, Failure, until  # noqa: E402
from lab import run as run_command  # noqa: E402

import client  # noqa: E402
import zt1_lab  # noqa: E402
from zt1_lab import PORT  # noqa: E402

STRANGER = 'deadbeef01'  # an address nobody has


class Program:
    """One program on the daemon's machine: it reads the token as the file has it and sends it along."""

    def __init__(self, lab, daemon, header='X-ZT1-Auth', host='127.0.0.1', how='header', kind='application/json'):
        self.lab, self.daemon, self.host, self.how, self.header, self.kind = lab, daemon, host, how, header, kind
        with open(os.path.join(daemon.home, 'zt1.token'), 'rb') as file:
            self.token = file.read().decode('ascii')

    def ask(self, method, path, body=None, status=200):
        head = {'Host': f'localhost:{PORT}'}
        if self.how == 'header':
            head[self.header] = self.token
        elif self.how == 'bearer':
            head['Authorization'] = f'Bearer {self.token}'
        else:
            path += ('&' if '?' in path else '?') + 'auth=' + urllib.parse.quote(self.token)
        data = None
        if body is not None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            head['Content-Type'] = self.kind
        connection = client.Connection(lambda: client.connect_there(self.daemon.host.ns, (self.host, PORT)))
        try:
            connection.request(method, path, data, head)
            answer = client.Answer(connection.getresponse())
        finally:
            connection.close()
        self.lab.equal(answer.status, status, f'{method} {path} {data or ""}: {answer.body[:300]}')
        self.lab.check('json' in answer.headers.get('Content-Type', ''), f'{method} {path}: parsers look at the type: {answer.headers}')
        return answer.json()

    def get(self, path, **how):
        return self.ask('GET', path, **how)

    def post(self, path, body, **how):
        return self.ask('POST', path, body, **how)

    def delete(self, path, **how):
        return self.ask('DELETE', path, **how)


def net(nwid):
    return f'/controller/network/{nwid}'


def member(nwid, address):
    return f'/controller/network/{nwid}/member/{address}'


def pools(first, last):
    return [{'ipRangeStart': first, 'ipRangeEnd': last}]


def knocks(lab, program, node, nwid):
    """A real node asks for that network; the controller shows it as one who waits."""
    node.cli('join', nwid, '--wait', '0', code=None)
    address = node.address()
    until(f'{address} is in the list', lambda: address in program.get(f'{net(nwid)}/member'), 10)
    row = program.get(member(nwid, address))
    lab.equal((row['id'], row['address'], row['nwid'], row['authorized']), (address, address, nwid, False), 'who waits')
    return address


# ---- controller user interfaces


def ztncui(lab):
    """Every form field is a string; reads the whole object, changes a list in it, posts that list; got(), json: true."""
    p = Program(lab, lab.controller)
    me = p.get('/status')['address']
    lab.check(p.get('/status')['online'] is True, 'its home page shows the status')
    made = p.post(net(f'{me}______'), {'name': 'ztncui &amp; friends'})
    nwid = made['nwid']
    lab.check(nwid.startswith(me) and made['id'] == nwid and made['private'] is True, f'what was made: {made}')
    listed = {}
    for one in p.get('/controller/network'):
        detail = p.get(net(one))
        listed[detail['nwid']] = detail['name']
    lab.equal(listed.get(nwid), 'ztncui &amp; friends', 'the list shows it by name')

    # pools first, routes then, and neither forgets the other
    network = p.get(net(nwid))
    network['ipAssignmentPools'].extend(pools('10.91.0.10', '10.91.0.99'))
    got = p.post(net(nwid), {'ipAssignmentPools': network['ipAssignmentPools']})
    lab.equal(got['ipAssignmentPools'], pools('10.91.0.10', '10.91.0.99'), 'pools without a route')
    network = p.get(net(nwid))
    network['routes'].append({'target': '10.91.0.0/24', 'via': None})
    got = p.post(net(nwid), {'routes': network['routes']})
    lab.equal([(r['target'], r['via']) for r in got['routes']], [('10.91.0.0/24', None)], 'the route that holds them')
    lab.equal(got['ipAssignmentPools'], pools('10.91.0.10', '10.91.0.99'), 'pools after the route came')
    # easy setup: all in one request, in place of what was there
    got = p.post(net(nwid), {'ipAssignmentPools': pools('10.92.0.1', '10.92.0.254'), 'routes': [{'target': '10.92.0.0/24', 'via': None}], 'v4AssignMode': {'zt': True}})
    lab.equal((got['ipAssignmentPools'], [r['target'] for r in got['routes']], got['v4AssignMode']['zt']), (pools('10.92.0.1', '10.92.0.254'), ['10.92.0.0/24'], True), 'easy setup')

    # one more route and one more pool; each is taken away again by what GET shows of it
    routes = p.get(net(nwid))['routes'] + [{'target': '192.168.55.0/24', 'via': '10.92.0.7'}]
    got = p.post(net(nwid), {'routes': routes})
    lab.check({'192.168.55.0/24', '10.92.0.0/24'} == {r['target'] for r in got['routes']}, f'two routes: {got["routes"]}')
    gone = next(r for r in got['routes'] if r['target'] == '192.168.55.0/24')
    lab.equal(gone['via'], '10.92.0.7', 'its gateway')
    got = p.post(net(nwid), {'routes': [r for r in got['routes'] if r != gone]})
    lab.equal([r['target'] for r in got['routes']], ['10.92.0.0/24'], 'the route is gone')
    two = p.post(net(nwid), {'ipAssignmentPools': p.get(net(nwid))['ipAssignmentPools'] + pools('10.92.0.255', '10.92.0.255')})['ipAssignmentPools']
    lab.equal(len(two), 2, 'two pools')
    keep = [pool for pool in two if pool['ipRangeStart'] != '10.92.0.255']
    lab.equal(p.post(net(nwid), {'ipAssignmentPools': keep})['ipAssignmentPools'], keep, 'one pool again')

    # switches, as words
    for name, word, value in (('private', 'false', False), ('private', 'true', True)):
        lab.check(p.post(net(nwid), {name: word})[name] is value, f'{name} {word}')
    lab.check(p.post(net(nwid), {'v4AssignMode': {'zt': 'false'}})['v4AssignMode'] == {'zt': False}, 'v4AssignMode false')
    lab.check(p.post(net(nwid), {'v4AssignMode': {'zt': 'true'}})['v4AssignMode'] == {'zt': True}, 'v4AssignMode true')
    for word in ('false', 'true'):
        got = p.post(net(nwid), {'v6AssignMode': {'6plane': 'false', 'rfc4193': word, 'zt': 'false'}})['v6AssignMode']
        lab.equal(got, {'6plane': False, 'rfc4193': word == 'true', 'zt': False}, f'v6AssignMode, rfc4193 {word}')
    got = p.post(net(nwid), {'dns': {'domain': 'lab.example', 'servers': ['10.92.0.7', '10.92.0.8']}})
    lab.equal(got['dns'], {'domain': 'lab.example', 'servers': ['10.92.0.7', '10.92.0.8']}, 'dns')
    p.post(net(nwid), {'dns': {'domain': '', 'servers': []}})
    lab.check(not p.get(net(nwid))['dns'] or p.get(net(nwid))['dns']['servers'] == [], 'dns taken away')
    lab.equal(p.post(net(nwid), {'name': 'renamed'})['name'], 'renamed', 'name')

    # members
    address = knocks(lab, p, lab.nodes['A'], nwid)
    lab.check(isinstance(p.get('/peer'), list), 'find() is called on the peers')
    peer = next((one for one in p.get('/peer') if one['address'] == address), None)
    lab.check(peer is not None and peer['paths'] is not None, f'who talks to the controller is one of its peers: {peer}')
    lab.check(p.post(member(nwid, address), {'authorized': 'true'})['authorized'] is True, 'authorized "true"')
    lab.nodes['A'].cli('wait', nwid, '--wait', '20')
    lab.check(p.post(member(nwid, address), {'activeBridge': 'true'})['activeBridge'] is True, 'activeBridge "true"')
    lab.check(p.post(member(nwid, address), {'activeBridge': 'false'})['activeBridge'] is False, 'activeBridge "false"')
    given = p.get(member(nwid, address))['ipAssignments']
    lab.check(len(given) == 1 and ipaddress.ip_address(given[0]) in ipaddress.ip_network('10.92.0.0/24'), f'an address of the pool, bare: {given}')
    added = p.post(member(nwid, address), {'ipAssignments': given + ['10.92.0.77']})
    added['added'] = True
    lab.check('10.92.0.77' in added['ipAssignments'], f'one more: {added}')
    left = [ip for ip in added['ipAssignments'] if ip != given[0]]
    lab.equal(p.post(member(nwid, address), {'ipAssignments': left})['ipAssignments'], ['10.92.0.77'], 'the first one is taken away by its index')
    until('the machine has it', lambda: any(a.startswith('10.92.0.77/') for a in lab.nodes['A'].network(nwid)['addresses']), 10)
    shown = p.get(f'/peer/{address}')
    lab.equal(shown['address'], address, 'its page asks for the peer')
    lab.check(p.post(member(nwid, address), {'authorized': 'false'})['authorized'] is False, 'authorized "false"')
    until('the machine is out', lambda: lab.nodes['A'].network(nwid)['state'] != 'joined', 10)
    deleted = p.delete(member(nwid, address))
    deleted['deleted'] = True  # what the client does with whatever came: no object, no assignment
    lab.equal(deleted['id'], address, 'the deleted member is told, its name is looked up by its id')
    lab.check(address not in p.get(f'{net(nwid)}/member'), 'and gone from the list')
    deleted = p.delete(net(nwid))
    deleted['deleted'] = True
    lab.equal(deleted['name'], 'renamed', 'the deleted network is told')
    p.get(net(nwid), status=404)
    lab.nodes['A'].cli('leave', nwid, code=None)


def zero_ui(lab):
    """Everything at once by axios.all; base "http://localhost:9993/", so Node.js tries ::1; nested objects come in part."""
    p = Program(lab, lab.controller, host='::1')
    me = p.get('/status')['address']
    rules = [{'type': 'MATCH_ETHERTYPE', 'not': True, 'or': False, 'etherType': kind} for kind in (2048, 2054, 34525)]
    rules += [{'type': 'ACTION_DROP'}, {'type': 'ACTION_ACCEPT'}]
    wish = {'name': 'new-net-12345', 'private': True, 'v6AssignMode': {'rfc4193': False, '6plane': False, 'zt': False}, 'v4AssignMode': {'zt': True},
            'routes': [{'target': '172.30.9.0/24', 'via': None, 'flags': 0, 'metric': 0}], 'ipAssignmentPools': pools('172.30.9.1', '172.30.9.254'),
            'enableBroadcast': True, 'rules': rules}
    made = p.post(net(f'{me}______'), wish)
    nwid = made['id']
    for name in ('name', 'private', 'v6AssignMode', 'v4AssignMode', 'ipAssignmentPools', 'enableBroadcast'):
        lab.equal(made[name], wish[name], f'{name} as wished')
    lab.equal([(r['target'], r['via']) for r in made['routes']], [('172.30.9.0/24', None)], 'routes as wished')
    lab.equal([(r['type'], r.get('etherType'), bool(r.get('not'))) for r in made['rules']], [(r['type'], r.get('etherType'), bool(r.get('not'))) for r in rules], 'rules as wished')
    data = p.get(net(nwid))
    for name in ('rulesSource', 'objtype', 'revision', 'remoteTraceLevel', 'remoteTraceTarget'):
        del data[name]  # it deletes them, and shows the rest
    lab.equal(p.post(net(nwid), {'v6AssignMode': {'rfc4193': True}})['v6AssignMode'], {'6plane': False, 'rfc4193': True, 'zt': False}, 'a part of an object')
    lab.equal(p.post(net(nwid), {'multicastLimit': '16'})['multicastLimit'], 16, 'a number from an input field')
    lab.check(p.post(net(nwid), {'enableBroadcast': False})['enableBroadcast'] is False, 'a checkbox')
    lab.equal(p.get(net(nwid))['multicastLimit'], 16, 'and the number stands')

    # a member added by its address, before it ever asked
    p.post(member(nwid, STRANGER), {'authorized': True})
    lab.check(list(p.get(f'{net(nwid)}/member')) == [STRANGER], 'Object.keys of the list')
    row = p.get(member(nwid, STRANGER))
    lab.check(row['authorized'] is True and row['id'] == STRANGER, f'added by hand: {row}')
    lab.equal(p.get(f'/peer/{STRANGER}'), {}, 'a peer nobody knows is an empty object, not an error')
    lab.equal(p.post(member(nwid, STRANGER), {'ipAssignments': ['172.30.9.50']})['ipAssignments'], ['172.30.9.50'], 'its address before it comes')
    p.delete(member(nwid, STRANGER))

    address = knocks(lab, p, lab.nodes['B'], nwid)
    p.post(member(nwid, address), {'authorized': True})
    lab.nodes['B'].cli('wait', nwid, '--wait', '20')
    peer = p.get(f'/peer/{address}')
    lab.check(peer['latency'] != '' and isinstance(peer['version'], str), f'{peer}')
    best = [path for path in peer['paths'] if path['active'] and not path['expired'] and path['preferred']]
    if best:
        ip, port = best[0]['address'].split('/')
        lab.check(ip == lab.hosts['B'].address and int(port) > 0 and abs(time.time() * 1000 - best[0]['lastReceive']) < 600000, f'where it is: {best}')
    # it deletes and posts at the same time, and does not wait for the one before the other
    fresh = {'authorized': False, 'ipAssignments': [], 'capabilities': [], 'tags': []}
    both = [threading.Thread(target=p.delete, args=(member(nwid, address),)), threading.Thread(target=p.post, args=(member(nwid, address), fresh))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    until('it is let in no more', lambda: p.get(f'{net(nwid)}/member').get(address) is None or p.get(member(nwid, address))['authorized'] is False, 5)
    until('and its machine knows', lambda: lab.nodes['B'].network(nwid)['state'] != 'joined', 10)
    p.delete(net(nwid))
    lab.check(nwid not in p.get('/controller/network'), 'the network is gone')
    lab.nodes['B'].cli('leave', nwid, code=None)


def shown_as(peer):
    """What ztnet makes of a peer: a private address in any path is a LAN, none that is active is offline."""
    if not peer:
        return 'offline'
    if peer['latency'] == -1:
        return 'relayed'
    if not any(path['active'] and not path['expired'] for path in peer['paths']):
        return 'offline'
    return 'lan' if any(ipaddress.ip_address(path['address'].split('/')[0]).is_private for path in peer['paths']) else 'wan'


def ztnet(lab):
    """Creates with keys that are its own, re-reads members by revision, empties a member before it forgets it."""
    p = Program(lab, lab.controller)
    version = p.get('/controller')
    lab.check(version['controller'] is True and version['databaseReady'] is True and version['apiVersion'] == 4 and version['clock'] > 0, f'{version}')
    state = p.get('/status')
    settings = state['config']['settings']
    lab.check(isinstance(settings['allowManagementFrom'], list) and isinstance(settings['listeningOn'], list) and state['tcpFallbackActive'] in (True, False)
              and isinstance(state['version'], str), f'its controller page: {state}')
    wish = {'name': 'brave-otter', 'private': True, 'ipAssignmentPools': pools('10.121.15.1', '10.121.15.254'), 'routes': [{'target': '10.121.15.0/24', 'via': None}],
            'v4AssignMode': {'zt': True}, 'cidrOptions': ['10.121.15.0/24', '172.25.25.0/24']}
    made = p.post(net(f'{state["address"]}______'), wish)
    nwid = made['nwid']
    lab.equal((made['name'], [route['target'] for route in made['routes']]), ('brave-otter', ['10.121.15.0/24']), 'routes.map() without a look')

    a, b = knocks(lab, p, lab.nodes['A'], nwid), knocks(lab, p, lab.nodes['B'], nwid)
    revision = {a: -1}

    def moved(what):
        now = p.get(f'{net(nwid)}/member')
        lab.check(now[a] != revision[a], f'after {what}: it reads again only whose revision is another one: {now}')
        revision.update(now)

    moved('the join')
    lab.check(shown_as(p.get(f'/peer/{a}')) != 'offline', f'who waits is online: {p.get(f"/peer/{a}")}')
    lab.equal(shown_as(p.get(f'/peer/{STRANGER}')), 'offline', 'who never came is not')
    for body in ({'authorized': True}, {'name': 'desk'}, {'ipAssignments': ['10.121.15.20', '10.121.15.21']}, {'activeBridge': True}, {'noAutoAssignIps': True}):
        got = p.post(member(nwid, a), body)
        name, value = next(iter(body.items()))
        lab.equal(sorted(got[name]) if name == 'ipAssignments' else got[name], value, f'{body}')
        moved(body)
    lab.equal(p.post(member(nwid, a), {'noAutoAssignIps': False})['noAutoAssignIps'], False, 'and back')
    p.post(member(nwid, b), {'authorized': True})
    for name in 'AB':
        lab.nodes[name].cli('wait', nwid, '--wait', '20')
    for address, name in ((a, 'A'), (b, 'B')):
        row = p.get(member(nwid, address))
        peer = p.get(f'/peer/{row["address"]}')
        lab.check(shown_as(peer) != 'offline', f'{name} is online: {peer}')
        lab.check(not row['nwid'].startswith(row['id']), 'it is not the controller itself')
    mode = p.get(net(nwid))['v6AssignMode']
    lab.check(p.post(net(nwid), {'v6AssignMode': {**mode, 'rfc4193': True}})['v6AssignMode']['rfc4193'] is True, 'IPv6')
    got = p.post(net(nwid), {'multicastLimit': 64, 'enableBroadcast': True})
    lab.equal((got['multicastLimit'], got['enableBroadcast']), (64, True), 'multicast')
    lab.equal(p.post(net(nwid), {'dns': {'domain': 'otter.example', 'servers': ['10.121.15.20']}})['dns'], {'domain': 'otter.example', 'servers': ['10.121.15.20']}, 'dns')
    p.post(net(nwid), {'dns': {'domain': '', 'servers': []}})
    default = [{'type': 'MATCH_ETHERTYPE', 'not': True, 'or': False, 'etherType': kind} for kind in (2048, 2054, 34525)] + [{'type': 'ACTION_DROP'}, {'type': 'ACTION_ACCEPT'}]
    more = {'capabilities': [], 'tags': [], 'capabilitiesByName': {}, 'tagsByName': {}, 'rulesSource': '#'}
    got = p.post(net(nwid), {'rules': default, **more})
    lab.equal((len(got['rules']), got['rulesSource']), (5, '#'), 'its default rules')
    got = p.post(net(nwid), {'rules': [{'type': 'ACTION_ACCEPT'}], **more})
    lab.equal([rule['type'] for rule in got['rules']], ['ACTION_ACCEPT'], 'accept all')
    port = {'type': 'MATCH_IP_DEST_PORT_RANGE', 'not': False, 'or': False, 'start': 22, 'end': 22}
    refused = p.post(net(nwid), {'rules': [port, {'type': 'ACTION_DROP'}, {'type': 'ACTION_ACCEPT'}], **more}, status=400)
    lab.check('MATCH_IP_DEST_PORT_RANGE' in json.dumps(refused), f'what is not enforced is refused and named: {refused}')
    lab.equal([rule['type'] for rule in p.get(net(nwid))['rules']], ['ACTION_ACCEPT'], 'and changes nothing')
    whole = p.get(net(nwid))
    whole['name'] = 'calm-otter'
    got = p.post(net(nwid), whole)
    lab.equal({k: v for k, v in got.items() if k not in ('revision', 'name')}, {k: v for k, v in whole.items() if k not in ('revision', 'name')}, 'the whole object sent back')
    lab.equal(got['name'], 'calm-otter', 'with one change in it')

    stash = p.post(member(nwid, a), {'authorized': False, 'ipAssignments': [], 'tags': [], 'capabilities': []})
    # one address stays with it until it is deleted: an approval may come back
    lab.equal((stash['authorized'], stash['tags'], stash['capabilities']), (False, [], []), 'stashed')
    lab.check(len(stash['ipAssignments']) <= 1, f'addresses of who is stashed: {stash["ipAssignments"]}')
    p.delete(member(nwid, a))
    for address in p.get(f'{net(nwid)}/member'):
        p.post(member(nwid, address), {'authorized': False})
    p.delete(net(nwid))
    p.get(net(nwid), status=404)
    for name in 'AB':
        lab.nodes[name].cli('leave', nwid, code=None)


def typed(lab, what, value, shape):
    """As a compiled client decodes it: each key there, each of its type; an int is no float and no bool. None: any."""
    for name, kind in shape.items():
        if not lab.check(name in value, f'{what}: {name} is missing'):
            continue
        if isinstance(kind, dict):
            typed(lab, f'{what}.{name}', value[name], kind)
        elif kind is not None:
            good = isinstance(value[name], kind) and (kind is bool or not isinstance(value[name], bool))
            lab.check(good, f'{what}: {name} is {value[name]!r}')


SETTINGS = {'primaryPort': int, 'secondaryPort': int, 'portMappingEnabled': bool, 'allowTcpFallbackRelay': bool, 'forceTcpRelay': bool, 'listeningOn': list, 'surfaceAddresses': list,
            'softwareUpdate': str, 'softwareUpdateChannel': str}
NODE = {'address': str, 'publicIdentity': str, 'online': bool, 'tcpFallbackActive': bool, 'version': str, 'versionMajor': int, 'versionMinor': int, 'versionRev': int,
        'versionBuild': int, 'clock': int, 'planetWorldId': int, 'planetWorldTimestamp': int, 'config': {'settings': SETTINGS}}
NETWORK = {'id': str, 'nwid': str, 'objtype': str, 'name': str, 'private': bool, 'creationTime': int, 'revision': int, 'enableBroadcast': bool, 'multicastLimit': int, 'mtu': int,
           'capabilities': list, 'tags': list, 'routes': list, 'rules': list, 'ipAssignmentPools': list, 'dns': None, 'v4AssignMode': {'zt': bool},
           'v6AssignMode': {'6plane': bool, 'rfc4193': bool, 'zt': bool}}
MEMBER = {'id': str, 'address': str, 'nwid': str, 'objtype': str, 'activeBridge': bool, 'authorized': bool, 'noAutoAssignIps': bool, 'ssoExempt': bool, 'name': str, 'identity': str,
          'authenticationExpiryTime': int, 'capabilities': list, 'creationTime': int, 'ipAssignments': list, 'lastAuthorizedCredential': None, 'lastAuthorizedCredentialType': None,
          'lastAuthorizedTime': int, 'lastDeauthorizedTime': int, 'remoteTraceLevel': int, 'remoteTraceTarget': None, 'revision': int, 'tags': list, 'vMajor': int, 'vMinor': int,
          'vProto': int, 'vRev': int}
PEER = {'address': str, 'latency': int, 'version': str, 'versionMajor': int, 'versionMinor': int, 'versionRev': int, 'role': str, 'isBonded': bool, 'tunneled': bool, 'paths': list}
PATH = {'address': str, 'active': bool, 'expired': bool, 'preferred': bool, 'lastSend': int, 'lastReceive': int, 'trustedPathId': int}
JOINED = {'id': str, 'nwid': str, 'mac': str, 'name': str, 'status': str, 'type': str, 'mtu': int, 'dhcp': bool, 'bridge': bool, 'broadcastEnabled': bool, 'portError': int,
          'netconfRevision': int, 'portDeviceName': str, 'allowManaged': bool, 'allowGlobal': bool, 'allowDefault': bool, 'allowDNS': bool, 'assignedAddresses': list, 'routes': list,
          'multicastSubscriptions': list, 'dns': {'domain': str, 'servers': list}}


def peers_typed(lab, what, peers):
    for peer in peers:
        typed(lab, what, peer, PEER)
        lab.check(peer['role'] in ('LEAF', 'MOON', 'PLANET'), f'{what}: role {peer["role"]}')
        for path in peer['paths']:
            typed(lab, what, path, PATH)
            ip, port = path['address'].rsplit('/', 1)
            lab.check(ipaddress.ip_address(ip) and 0 < int(port) < 65536, f'{what}: {path["address"]}')


def compiled(lab):
    """go-zerotier-one and clients generated from the same description: structs, and whole lists from /unstable."""
    p = Program(lab, lab.controller)
    typed(lab, 'status', p.get('/status'), NODE)
    peers = p.get('/peer')
    lab.check(any(peer['role'] == 'PLANET' for peer in peers), f'the root is one of the peers: {peers}')
    peers_typed(lab, 'peer', peers)
    made = p.post('/controller/network', {'name': 'generated', 'mtu': 1400, 'private': True})
    nwid = made['id']
    typed(lab, 'network', made, NETWORK)
    lab.equal((made['objtype'], made['mtu'], made['name']), ('network', 1400, 'generated'), 'what was made')
    p.ask('PUT', member(nwid, STRANGER), {'authorized': True, 'name': 'later', 'noAutoAssignIps': True})
    p.ask('PUT', member(nwid, 'deadbeef02'), {'authorized': False})
    all_ = p.get('/unstable/controller/network')
    lab.check(all_['meta']['networkCount'] == len(all_['data']) and nwid in [n['id'] for n in all_['data']], f'{all_["meta"]}')
    for one in all_['data']:
        typed(lab, 'unstable network', one, NETWORK)
    rows = p.get(f'/unstable/controller/network/{nwid}/member')
    lab.equal(rows['meta'], {'totalCount': 2, 'authorizedCount': 1}, 'counts')
    for row in rows['data']:
        typed(lab, 'unstable member', row, MEMBER)
    lab.check(all(isinstance(n, int) and -2**31 <= n < 2**31 for n in p.get(f'{net(nwid)}/member').values()), 'a revision is an int32 there')
    p.delete(net(nwid))
    p.get(member(nwid, STRANGER), status=404)
    p.delete(member(nwid, STRANGER), status=404)


def scripts(lab):
    """curl and the REST sensor: any spelling of the header, the token in the query or as a bearer, the type that curl -d sends."""
    form = 'application/x-www-form-urlencoded'
    shell = Program(lab, lab.controller, header='X-ZT1-AUTH', kind=form)
    lower, query, bearer = (Program(lab, lab.controller, header='x-zt1-auth'), Program(lab, lab.controller, how='query'), Program(lab, lab.controller, how='bearer'))
    me = shell.get('/status')['address']
    for p in (lower, query, bearer):
        lab.equal(p.get('/status')['address'], me, f'{p.how} {p.header}')
    nwid = shell.post(net(f'{me}______'), '{}')['id']
    lab.equal(len(nwid), 16, 'a network by an empty object')
    shell.post(member(nwid, STRANGER), '{"authorized": true}')
    lab.equal(len(query.get(f'{net(nwid)}/member')), 1, 'the sensor counts members')
    sensor = bearer.get('/status')
    lab.check(sensor['online'] is True and sensor['address'] == me, 'the sensor reads online')
    shell.post(net(nwid), '{"name": ', status=400)
    wrong = Program(lab, lab.controller)
    wrong.token = 'x' * 32
    lab.equal(wrong.get('/status', status=401), {}, 'a wrong token')
    wrong.token = wrong.token[:0]
    lab.equal(wrong.get('/controller/network', status=401), {}, 'none')
    shell.delete(net(nwid))


# ---- programs beside a node


def original_cli(lab, _):
    """The original's own command: POST with {} joins, DELETE leaves; and what desktop programs send along."""
    node = lab.nodes['A']
    p = Program(lab, node)
    nwid = lab.create('by-the-api', mtu=1500, ipv4='10.93.0.0/24')
    typed(lab, 'node status', p.get('/status'), NODE)
    lab.equal(p.get('/status')['address'], node.address(), 'its own address')
    lab.equal(p.get(f'/network/{nwid}', status=404), {}, 'not joined')
    joined = p.post(f'/network/{nwid}', '{}')
    typed(lab, 'joined', joined, JOINED)
    lab.check(joined['status'] in ('REQUESTING_CONFIGURATION', 'ACCESS_DENIED'), f'at first: {joined["status"]}')
    until('it waits', lambda: p.get(f'/network/{nwid}')['status'] == 'ACCESS_DENIED', 10)
    lab.controller.cli('member', 'approve', nwid, node.address(), '--ip', '10.93.0.5')
    lab.controller.cli('network', 'set', nwid, '--route', '192.168.93.0/24,10.93.0.9', '--dns', 'ninety.example,10.93.0.9')
    until('it works', lambda: p.get(f'/network/{nwid}')['status'] == 'OK', 10)
    until('with its routes', lambda: len(p.get(f'/network/{nwid}')['routes']) == 3, 10)
    got = p.get(f'/network/{nwid}')
    typed(lab, 'joined', got, JOINED)
    until('its groups', lambda: any(group['mac'][:8] == '01:00:5e' and group['adi'] == 0 for group in p.get(f'/network/{nwid}')['multicastSubscriptions']), 5)
    lab.controller.cli('member', 'set', nwid, node.address(), '--bridge', 'on')
    until('its right to bridge', lambda: p.get(f'/network/{nwid}')['bridge'], 10)
    got = p.get(f'/network/{nwid}')
    lab.equal((got['name'], got['type'], got['bridge'], got['id'], got['portError']), ('by-the-api', 'PRIVATE', True, nwid, 0), 'what it is')
    lab.check('10.93.0.5/24' in got['assignedAddresses'], f'{got["assignedAddresses"]}')
    lab.equal(got['portDeviceName'], node.network(nwid)['dev'], 'device')
    routes = {(r['target'], r['via']) for r in got['routes']}
    lab.check({('10.93.0.0/24', None), ('192.168.93.0/24', '10.93.0.9')} < routes, f'{routes}')
    defaults = {'allowManaged': True, 'allowGlobal': False, 'allowDefault': False, 'allowDNS': False}
    p.post(f'/network/{nwid}', defaults)
    p.post(f'/network/{nwid}', {**got, 'allowManaged': 1, 'allowGlobal': 'false'})
    for name, value in defaults.items():
        wrong = p.post(f'/network/{nwid}', {name: not value}, status=400)
        lab.check(name in wrong['message'], f'a switch that cannot be turned: {wrong}')
    p.post('/network/xyz', '{}', status=400)
    peers_typed(lab, 'node peer', p.get('/peer'))
    roots = [peer for peer in p.get('/peer') if peer['role'] == 'PLANET']
    lab.equal([root['address'] for root in roots], [lab.root.address()], 'roots')
    lab.equal(p.get(f'/peer/{lab.root.address()}')['role'], 'PLANET', 'one peer')
    lab.equal(p.get(f'/peer/{STRANGER}'), {}, 'nobody')
    return nwid


def systemd_manager(lab, nwid):
    """Dereferences portDeviceName, dns.servers and dns.domain of every network."""
    p = Program(lab, lab.nodes['A'], host='::1')
    told = {n['portDeviceName']: (n['name'], ','.join(n['dns']['servers']), n['dns']['domain']) for n in p.get('/network') if len(n['dns']['servers']) != 0}
    lab.equal(told.get(lab.nodes['A'].network(nwid)['dev']), ('by-the-api', '10.93.0.9', 'ninety.example'), 'a .network file for each with DNS')


def zeronsd(lab, nwid):
    """Listens on the addresses of one network, each with its length."""
    p = Program(lab, lab.nodes['A'])
    listen = [str(ipaddress.ip_interface(address).ip) for address in p.get(f'/network/{nwid}')['assignedAddresses']]
    lab.check('10.93.0.5' in listen and any(':' in one for one in listen), f'{listen}')
    public = Program(lab, lab.nodes['A'])
    public.token = ''
    health = public.get('/health')
    lab.check(health['online'] is True and health['clock'] > 0, f'without a token: {health}')
    lab.equal(public.get('/network', status=401), {}, 'and nothing else')


def gone(lab, nwid):
    p = Program(lab, lab.nodes['A'])
    lab.equal(p.delete(f'/network/{nwid}'), {'result': True}, 'left')
    lab.equal(p.delete(f'/network/{nwid}', status=404), {}, 'twice')
    lab.check(nwid not in [n['id'] for n in p.get('/network')], 'it is in the list no more')
    lab.controller.cli('network', 'delete', nwid)


# ---- contrib/zt1/zerotier-cli, which asks farlan and no port


def shim(lab, node, *words, code=0):
    env = {**os.environ, 'FARLAN': os.path.join(BIN, 'farlan')}
    return run_command(os.path.join(TREE, 'contrib/zt1/zerotier-cli'), f'-D{node.home}', *words, code=code, env=env).stdout


def shim_reads(lab, nwid):
    """Its lines by the patterns scripts have for the original's, its JSON against what the node's own port says."""
    node = lab.nodes['A']
    p = Program(lab, node)
    said = shim(lab, node, 'info')
    lab.check(re.fullmatch(rf'200 info {node.address()} \d+\.\d+\.\d+ ONLINE\n', said), f'info: {said!r}')
    lab.equal(shim(lab, node, 'status'), said, 'status is another word for info')
    lines = shim(lab, node, 'listnetworks').splitlines()
    lab.equal(lines[0], '200 listnetworks <nwid> <name> <mac> <status> <type> <dev> <ZT assigned ips>', 'the head of the table')
    row = next(line for line in lines if nwid in line).split()
    net_ = node.network(nwid)
    lab.equal(row[:9], ['200', 'listnetworks', nwid, 'by-the-api', net_['mac'], 'OK', 'PRIVATE', net_['dev'], ','.join(net_['addresses'])], 'its columns')

    def same(what, path, *loose):
        text = shim(lab, node, '-j', what)
        mine, theirs = json.loads(text), p.get(path)
        for one in [mine, theirs] if isinstance(mine, dict) else mine + theirs:
            for key in loose:
                one.pop(key)
        lab.equal(mine, theirs, f'-j {what} and GET {path}')
        return json.loads(text)

    same('listnetworks', '/network')
    typed(lab, '-j info', same('info', '/status', 'clock', 'config'), NODE)
    peers = json.loads(shim(lab, node, '-j', 'listpeers'))
    peers_typed(lab, '-j listpeers', peers)
    lab.equal({one['address']: one['role'] for one in peers}, {one['address']: one['role'] for one in p.get('/peer')}, 'peers')
    lines = shim(lab, node, 'listpeers').splitlines()
    lab.equal(lines[0], '200 listpeers <ztaddr> <path> <latency> <version> <role>', 'the head of listpeers')
    lab.check(all(re.fullmatch(r'200 listpeers [0-9a-f]{10} (-|[0-9a-f.:]+/\d+;\d+;\d+) -?\d+ \S+ (LEAF|PLANET)', line) for line in lines[1:]) and len(lines) > 1, f'{lines}')
    lines = shim(lab, node, 'peers').splitlines()
    lab.equal(lines[0], '200 peers', 'peers')
    lab.check(any(re.match(rf'{lab.root.address()} \S+ +PLANET +\d+ DIRECT +\d+ +\d+ +{lab.root.host.address}/9993$', line) for line in lines[2:]), f'{lines}')
    lab.equal(shim(lab, node, 'get', nwid, 'ip4').strip(), '10.93.0.5', 'get ip4')
    lab.check(':' in shim(lab, node, 'get', nwid, 'ip6'), 'get ip6')
    lab.equal(shim(lab, node, 'get', nwid, 'portDeviceName').strip(), net_['dev'], 'get portDeviceName')
    shim(lab, node, 'get', nwid, 'colour', code=1)
    shim(lab, node, 'set', nwid, 'allowManaged=1')
    lab.check(shim(lab, node, 'set', nwid, 'allowDNS=1', code=1).startswith('400 set '), 'what cannot be set')
    lab.equal(json.loads(shim(lab, node, f'/network/{nwid}'))['id'], nwid, 'a path')
    lab.equal(json.loads(shim(lab, node, f'/peer/{STRANGER}')), {}, 'a peer nobody knows')


def shim_joins(lab, nwid):
    node = lab.nodes['B']
    lab.equal(shim(lab, node, 'join', nwid), '200 join OK\n', 'join')
    until('B waits', lambda: re.search(f' {nwid} .* ACCESS_DENIED ', shim(lab, node, 'listnetworks')), 10)
    lab.equal(shim(lab, node, 'join', nwid), '200 join OK\n', 'again')
    lab.check(f' {nwid} - ' in shim(lab, node, 'listnetworks'), 'no name yet')
    lab.equal(shim(lab, node, 'leave', nwid), '200 leave OK\n', 'leave')
    lab.check(shim(lab, node, 'leave', nwid, code=1).startswith('404 leave'), 'twice')
    shim(lab, node, 'join', 'xyz', code=2)
    shim(lab, node, 'frobnicate', code=2)
    nowhere = type('', (), {'home': os.path.join(lab.folder, 'nowhere')})
    lab.check(shim(lab, nowhere, 'info', code=1).startswith('Error connecting'), 'no daemon')


CLIENTS = (ztncui, zero_ui, ztnet, compiled, scripts)
AT_A_NODE = (original_cli, shim_reads, shim_joins, systemd_manager, zeronsd, gone)  # one after the other, about one network


def run(lab, clients=CLIENTS + AT_A_NODE):
    """Each of them, whatever became of the one before."""
    nwid = None
    for one in clients:
        before, began = len(lab.failures), time.monotonic()
        try:
            nwid = (one(lab, nwid) or nwid) if one in AT_A_NODE else one(lab)
        except (Failure, KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration, OSError, http.client.HTTPException) as error:
            lab.fail(f'{type(error).__name__}: {error}, line {error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else "?"}')
        lab.failures[before:] = [f'{one.__name__}: {what}' for what in lab.failures[before:]]
        lab.note(f'zt1 {one.__name__}: {time.monotonic() - began:.1f} s')


def main():
    chosen = sys.argv[1:]

    def wanted(one):
        return not chosen or one.__name__ in chosen or (one in AT_A_NODE and 'node' in chosen)
    return zt1_lab.alone('CAB', lambda lab: run(lab, [one for one in CLIENTS + AT_A_NODE if wanted(one)]))


if __name__ == '__main__':
    sys.exit(main())
