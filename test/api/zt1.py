"""zt1.py: ZeroTier One's HTTP API of a controller, endpoint by endpoint: every key of every object, each trap that real programs fell
into, and bodies that nobody should send. What known programs do with it is in zt1_clients.py.

By itself (python3 test/api/zt1.py [CASE...]) it makes a lab of its own; run.py calls run() with the one it has.
"""
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'netns'))
sys.dont_write_bytecode = True
from lab import BIN, Failure, until  # noqa: E402

import client  # noqa: E402
import zt1_lab  # noqa: E402
from zt1_clients import Program, member, net, pools  # noqa: E402
from zt1_lab import PORT  # noqa: E402

NUMBER, TEXT, TRUTH, LIST, ANY = (int,), (str,), (bool,), (list,), None
TEXT_OR_NULL = (str, type(None))

KEYS = {
    'network': {'id': TEXT, 'nwid': TEXT, 'objtype': TEXT, 'name': TEXT, 'private': TRUTH, 'creationTime': NUMBER, 'revision': NUMBER, 'enableBroadcast': TRUTH,
                'multicastLimit': NUMBER, 'mtu': NUMBER, 'v4AssignMode': {'zt': TRUTH}, 'v6AssignMode': {'6plane': TRUTH, 'rfc4193': TRUTH, 'zt': TRUTH}, 'routes': LIST,
                'ipAssignmentPools': LIST, 'dns': (list, dict), 'rules': LIST, 'capabilities': LIST, 'tags': LIST, 'rulesSource': TEXT, 'authTokens': LIST,
                'remoteTraceTarget': TEXT_OR_NULL, 'remoteTraceLevel': NUMBER, 'ssoEnabled': TRUTH, 'clientId': TEXT, 'authorizationEndpoint': TEXT, 'tagsByName': (dict,),
                'capabilitiesByName': (dict,), 'description': TEXT},
    'member': {'id': TEXT, 'address': TEXT, 'nwid': TEXT, 'objtype': TEXT, 'authorized': TRUTH, 'activeBridge': TRUTH, 'noAutoAssignIps': TRUTH, 'ipAssignments': LIST,
               'name': TEXT, 'identity': TEXT, 'revision': NUMBER, 'creationTime': NUMBER, 'lastAuthorizedTime': NUMBER, 'lastDeauthorizedTime': NUMBER,
               'lastAuthorizedCredential': TEXT_OR_NULL, 'lastAuthorizedCredentialType': TEXT_OR_NULL, 'authenticationExpiryTime': NUMBER, 'ssoExempt': TRUTH,
               'capabilities': LIST, 'tags': LIST, 'remoteTraceTarget': TEXT_OR_NULL, 'remoteTraceLevel': NUMBER, 'vMajor': NUMBER, 'vMinor': NUMBER, 'vRev': NUMBER,
               'vProto': NUMBER},
    'peer': {'address': TEXT, 'latency': NUMBER, 'version': TEXT, 'versionMajor': NUMBER, 'versionMinor': NUMBER, 'versionRev': NUMBER, 'role': TEXT, 'isBonded': TRUTH,
             'tunneled': TRUTH, 'paths': LIST},
    'path': {'address': TEXT, 'active': TRUTH, 'expired': TRUTH, 'preferred': TRUTH, 'lastSend': NUMBER, 'lastReceive': NUMBER, 'trustedPathId': NUMBER,
             'localSocket': NUMBER, 'localPort': NUMBER},
    'status': {'address': TEXT, 'publicIdentity': TEXT, 'online': TRUTH, 'tcpFallbackActive': TRUTH, 'version': TEXT, 'versionMajor': NUMBER, 'versionMinor': NUMBER,
               'versionRev': NUMBER, 'versionBuild': NUMBER, 'clock': NUMBER, 'planetWorldId': NUMBER, 'planetWorldTimestamp': NUMBER, 'config': {'settings': {
                   'primaryPort': NUMBER, 'secondaryPort': NUMBER, 'tertiaryPort': NUMBER, 'portMappingEnabled': TRUTH, 'allowTcpFallbackRelay': TRUTH,
                   'forceTcpRelay': TRUTH, 'listeningOn': LIST, 'surfaceAddresses': LIST, 'allowManagementFrom': LIST, 'softwareUpdate': TEXT,
                   'softwareUpdateChannel': TEXT}}},
    'health': {'online': TRUTH, 'version': TEXT, 'versionMajor': NUMBER, 'versionMinor': NUMBER, 'versionRev': NUMBER, 'versionBuild': NUMBER, 'clock': NUMBER},
    'controller': {'controller': TRUTH, 'apiVersion': NUMBER, 'clock': NUMBER, 'databaseReady': TRUTH},
}


def shaped(lab, what, value, keys):
    """Every key, no other, each of its type."""
    if not lab.check(isinstance(value, dict) and set(value) == set(keys), f'{what}: keys {sorted(set(keys) ^ set(value))}'):
        return
    for name, kind in keys.items():
        if isinstance(kind, dict):
            shaped(lab, f'{what}.{name}', value[name], kind)
        else:
            lab.check(type(value[name]) in kind, f'{what}.{name} is {value[name]!r}')


class Raw(Program):
    """Bytes as they are, and nothing asked of the answer."""

    def send(self, method, path, data=None, headers=None, there=None):
        connection = client.Connection(lambda: client.connect_there((there or self.daemon.host).ns, (self.host, PORT)))
        try:
            connection.request(method, path, data, {'X-ZT1-Auth': self.token, **(headers or {})})
            return client.Answer(connection.getresponse())
        finally:
            connection.close()


def made(p, **wish):
    nwid = p.post(net(f'{p.get("/status")["address"]}______'), wish)['nwid']
    return nwid, net(nwid)


def v1(lab, path):
    return client.by_socket(os.path.join(lab.controller.home, 'farlan-controller.sock')).ask('GET', path).json()


# ---- endpoints and keys


def endpoints(lab, p):
    me = p.get('/status')['address']
    shaped(lab, 'status', p.get('/status'), KEYS['status'])
    shaped(lab, 'controller', p.get('/controller'), KEYS['controller'])
    shaped(lab, 'health', p.get('/health'), KEYS['health'])
    for method, path in (('POST', net(f'{me}______')), ('PUT', net(f'{me}______')), ('POST', '/controller/network')):
        one = p.ask(method, path, {'name': f'by {method} {path[-6:]}'})
        shaped(lab, f'{method} {path}', one, KEYS['network'])
        at = net(one['id'])
        lab.check(one['id'] in p.get('/controller/network'), f'{one["id"]} is in the list')
        for answer in (p.get(at), p.post(at, {}), p.ask('PUT', at, {'private': True}), p.get(at + '/')):
            shaped(lab, at, answer, KEYS['network'])
        lab.equal(p.get(f'{at}/member'), {}, 'no members')
        row = f'{at}/member/cafe0000{len(method):02d}'
        for answer in (p.ask(method, row, {'authorized': method == 'PUT'}), p.get(row), p.post(row, {'name': 'x'})):
            shaped(lab, row, answer, KEYS['member'])
        lab.equal(list(p.get(f'{at}/member')), [row[-10:]], 'its member')
        whole = p.get(f'/unstable{at}/member')
        lab.equal(whole['meta'], {'totalCount': 1, 'authorizedCount': int(method == 'PUT')}, 'members counted')
        shaped(lab, 'unstable member', whole['data'][0], KEYS['member'])
        lab.equal(whole['data'][0], p.get(row), 'whole and alone')
        shaped(lab, 'deleted member', p.delete(row), KEYS['member'])
        p.get(row, status=404)
        shaped(lab, 'deleted network', p.delete(at), KEYS['network'])
        p.get(at, status=404)
    whole = p.get('/unstable/controller/network')
    lab.equal(whole['meta']['networkCount'], len(whole['data']), 'networks counted')
    for peer in p.get('/peer'):
        shaped(lab, 'peer', peer, KEYS['peer'])
        for path in peer['paths']:
            shaped(lab, 'path', path, KEYS['path'])
        shaped(lab, 'that peer', p.get(f'/peer/{peer["address"]}'), KEYS['peer'])
    lab.check([peer['role'] for peer in p.get('/peer')].count('PLANET') == 1, 'the root is a planet')
    lab.equal(p.get('/network'), [], 'the controller is in no network')
    nobody = f'{me}ffffff'
    lab.check('farlan join' in p.post(f'/network/{nobody}', {}, status=409)['message'], 'and says how to join')
    for method, path in (('GET', net(nobody)), ('POST', net(nobody)), ('DELETE', net(nobody)), ('GET', f'{net(nobody)}/member'), ('GET', member(nobody, 'cafe000001')),
                         ('POST', member(nobody, 'cafe000001')), ('DELETE', member(nobody, 'cafe000001')), ('GET', f'/unstable{net(nobody)}/member'), ('POST', net('0123456789______')),
                         ('POST', net('x')), ('GET', '/moon'), ('GET', '/nothing'), ('GET', '/network/' + nobody), ('GET', '/controller/network/1/2/3/4/5/6/7/8/9')):
        lab.check(p.ask(method, path, {} if method == 'POST' else None, status=404)['message'], f'{method} {path}')
    p.ask('PATCH', net(nobody), {}, status=405)
    lab.check(Raw(lab, p.daemon).send('GET', '/metrics').body.startswith(b'# HELP'), 'metrics')


def doors(lab, p):
    """Without the token nothing is said but that, wherever; with it, whichever way it comes."""
    raw = Raw(lab, p.daemon)
    for path in ('/status', '/controller', '/controller/network', '/peer', '/metrics', '/nothing', '/controller/network/x/member/y'):
        for method in ('GET', 'POST', 'PUT', 'DELETE'):
            for token in ('', 'x' * 32, raw.token[:-1], raw.token + 'x', raw.token.upper(), 'x' * 4000):
                answer = raw.send(method, path, b'{' if method == 'POST' else None, {'X-ZT1-Auth': token})
                if (answer.status, answer.body) != (401, b'{}'):
                    lab.fail(f'{method} {path} with {token[:40]!r}: {answer.status} {answer.body[:100]}')
    answer = raw.send('GET', '/health', headers={'X-ZT1-Auth': 'wrong'})
    lab.equal(answer.status, 200, 'health asks for no token')
    for headers, path in (({'x-zT1-aUTH': raw.token}, '/status'), ({'X-ZT1-Auth': ''}, f'/status?x=1&auth={raw.token}'), ({'X-ZT1-Auth': '', 'Authorization': f'bearer {raw.token}'}, '/status')):
        lab.equal(raw.send('GET', path, headers=headers).status, 200, f'{headers} {path}')
    told = v1(lab, '/v1/status')['zt1']
    lab.equal((told['listen'], told['token_file']), ([f'127.0.0.1:{PORT}', f'[::1]:{PORT}'], os.path.join(p.daemon.home, 'zt1.token')), '/v1/status tells where')
    for name in 'AB':
        if name in lab.nodes and name in lab.hosts:
            try:
                client.connect_there(lab.hosts[name].ns, (lab.controller.host.address, PORT)).close()
                lab.fail('another machine reaches the door')
            except OSError:
                pass


def elsewhere(lab, p):
    """Other machines: refused when it starts, unless the config names them."""
    home = os.path.join(lab.folder, 'zt1-elsewhere')
    os.makedirs(home, 0o700, exist_ok=True)
    shutil.copy(os.path.join(lab.controller.home, 'identity.secret'), home)  # a new one takes seconds; it has no root, so nobody meets it
    config = os.path.join(home, 'farlan-controller.conf')
    argv = ['ip', 'netns', 'exec', lab.controller.host.ns, os.path.join(BIN, 'farlan-controller'), '--home', home]
    with open(config, 'w') as file:
        file.write('http = none\nzt1 = 0.0.0.0:9994\n')
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    lab.check(refused.returncode == 2 and 'zt1-allow' in refused.stderr and not os.path.exists(os.path.join(home, 'zt1.token')), f'{refused.returncode} {refused.stderr}')
    allowed, other = (lab.hosts[name] for name in 'AB')
    with open(config, 'a') as file:
        file.write(f'zt1-allow = {allowed.address}\n')
    daemon = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until('it listens', lambda: os.path.exists(os.path.join(home, 'zt1.token')), 30)
        with open(os.path.join(home, 'zt1.token')) as file:
            token = file.read()

        def ask(host, to):
            connection = client.Connection(lambda: client.connect_there(host.ns, (to, 9994)))
            try:
                connection.request('GET', '/status', headers={'X-ZT1-Auth': token})
                return connection.getresponse().status
            except OSError:
                return None
            finally:
                connection.close()
        at = lab.controller.host.address
        until('the one that may comes in', lambda: ask(allowed, at) == 200, 10)
        lab.equal((ask(other, at), ask(lab.controller.host, '127.0.0.1'), ask(lab.controller.host, at)), (403, 200, 403), 'the other, this machine, this machine by its address')
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


# ---- the traps


def trap_1_booleans_as_strings(lab, p):
    nwid, at = made(p)
    for value, truth in (('true', True), ('false', False), ('True', True), ('1', True), ('0', False), ('', False), (1, True), (0, False), (2.5, True), (-1, False), ('yes', False), (True, True)):
        lab.check(p.post(at, {'private': value})['private'] is truth, f'private {value!r}')
    for value in (None, [], {}):
        lab.check(p.post(at, {'private': value})['private'] is True, f'private {value!r} says nothing')
    p.post(at, {'v6AssignMode': {'rfc4193': 'true', '6plane': 'false', 'zt': 'f'}})
    lab.equal(p.get(at)['v6AssignMode'], {'6plane': False, 'rfc4193': True, 'zt': False}, 'inner ones')
    for value, number in (('1500', 1500), (1400.7, 1400), ('4000x', 4000), (20000, 9000), ('12', 1280), (-5, 1280), ('many', 1280), ([], 1280), (None, 1280)):
        lab.equal(p.post(at, {'mtu': value})['mtu'], number, f'mtu {value!r}')
    p.post(at, {'mtu': 2800})
    lab.check(p.post(f'{at}/member/cafe000001', {'authorized': 'true'})['authorized'] is True, 'authorized "true"')
    lab.check(p.post(f'{at}/member/cafe000001', {'authorized': 'false', 'activeBridge': 'true', 'noAutoAssignIps': '1'})['authorized'] is False, 'authorized "false"')
    row = p.get(f'{at}/member/cafe000001')
    lab.equal((row['activeBridge'], row['noAutoAssignIps']), (True, True), 'the others')
    p.delete(at)


def trap_2_unknown_fields(lab, p):
    nwid, at = made(p, cidrOptions=['10.0.0.0/8'], networkName='x', nwid='0123456789abcdef', id='y', revision=7, creationTime='then', objtype=[], ui={'deep': [[[1]]]})
    before = p.get(at)
    lab.equal({k: v for k, v in p.post(at, {'whatever': 1, 'id': 'no', 'revision': -1}).items()}, before, 'nothing became another')
    row = p.post(f'{at}/member/cafe000001', {'config': {}, 'physicalAddress': '1.2.3.4', 'id': 'x', 'address': 'y', 'identity': 'z', 'vMajor': 99})
    lab.equal((row['id'], row['vMajor'], row['identity']), ('cafe000001', -1, ''), 'nor a member')
    p.delete(at)


def trap_3_token_file(lab, p):
    path = os.path.join(p.daemon.home, 'zt1.token')
    with open(path, 'rb') as file:
        token = file.read()
    lab.check(re.fullmatch(rb'[a-z0-9]{24,}', token) is not None, f'{len(token)} bytes, no newline')
    lab.equal(os.stat(path).st_mode & 0o777, 0o640, 'its mode')


def trap_4_both_loopbacks(lab, p):
    for host in ('127.0.0.1', '::1'):
        lab.equal(Program(lab, p.daemon, host=host).get('/status')['address'], p.get('/status')['address'], host)


def trap_5_member_list(lab, p):
    nwid, at = made(p)
    for n in range(5):
        p.post(f'{at}/member/cafe00000{n}', {'authorized': bool(n & 1)})
    listed = p.get(f'{at}/member')
    lab.equal(listed, {f'cafe00000{n}': p.get(f'{at}/member/cafe00000{n}')['revision'] for n in range(5)}, 'an object of revisions')
    p.delete(at)


def trap_6_revision(lab, p):
    """Of one that was awaited, and of a machine that asked."""
    nwid, at = made(p, routes=[{'target': '10.61.0.0/24', 'via': None}])
    lab.nodes['A'].cli('join', nwid, '--wait', '0', code=None)
    address = lab.nodes['A'].address()
    until('it asked', lambda: address in p.get(f'{at}/member'), 10)
    for who in ('cafe000001', address):
        seen = {p.post(f'{at}/member/{who}', {})['revision']}
        for body in ({'authorized': True}, {'ipAssignments': ['10.61.0.9']}, {'activeBridge': True}, {'name': 'desk'}, {'noAutoAssignIps': True}, {'ipAssignments': ['10.61.0.9', '10.61.0.10']},
                     {'authorized': False}, {'name': 'desk again'}, {'authorized': True}, {'activeBridge': False}):
            revision = p.post(f'{at}/member/{who}', body)['revision']
            lab.check(revision not in seen and p.get(f'{at}/member')[who] == revision, f'{who} {body}: {revision} of {seen}')
            seen.add(revision)
            lab.equal(p.post(f'{at}/member/{who}', body)['revision'], revision, f'{body} again changes nothing')
    row = p.get(f'{at}/member/{address}')
    now = time.time() * 1000
    lab.check(abs(now - row['lastAuthorizedTime']) < 120000 and abs(now - row['lastDeauthorizedTime']) < 120000 and row['identity'].startswith(f'{address}:0:'), f'{row}')
    lab.equal(row['lastAuthorizedCredentialType'], 'api', 'by whom')
    p.delete(at)
    lab.nodes['A'].cli('leave', nwid, code=None)


def trap_7_peers(lab, p):
    lab.equal(p.get('/peer/cafe000001'), {}, 'nobody')
    lab.equal(p.get('/peer/not-an-address'), {}, 'nothing')
    root = next(peer for peer in p.get('/peer') if peer['role'] == 'PLANET')
    lab.check(re.fullmatch(r'[0-9a-f.:]+/[0-9]+', root['paths'][0]['address']), f'{root}')


def trap_8_layout_of_ids(lab, p):
    nwid, at = made(p)
    lab.check(nwid.startswith(p.get('/status')['address']) and re.fullmatch('[0-9a-f]{16}', nwid), nwid)
    p.delete(at)


def trap_9_content_types(lab, p):
    nwid, at = made(p)
    raw = Raw(lab, p.daemon)
    for n, kind in enumerate(('application/json', 'application/x-www-form-urlencoded', 'text/plain', 'nonsense', '', 'multipart/form-data; boundary=x')):
        answer = raw.send('POST', at, json.dumps({'name': f'name {n}'}).encode(), {'Content-Type': kind})
        lab.equal((answer.status, answer.json().get('name')), (200, f'name {n}'), kind)
    lab.equal(raw.send('POST', at).status, 200, 'no body says nothing')
    p.delete(at)


def trap_11_rules(lab, p):
    nwid, at = made(p)
    accept, drop = {'type': 'ACTION_ACCEPT'}, {'type': 'ACTION_DROP'}

    def is_(kind, **more):
        return {'type': 'MATCH_ETHERTYPE', 'etherType': kind, **more}

    def not_(kind):
        return is_(kind, **{'not': True, 'or': False})

    def types():
        return v1(lab, f'/v1/networks/{nwid}')['ethertypes']
    good = (([accept], None), ([not_(2048), not_(2054), not_(34525), drop, accept], [2048, 2054, 34525]), ([not_(34525), not_('2048'), drop, accept], [2048, 34525]),
            ([is_(2048), accept, is_(2054), accept], [2048, 2054]), ([is_(2048), is_(2054, **{'or': 'true'}), accept, drop], [2048, 2054]),
            ([accept, is_(2048), drop], None), ([is_(2048), drop, is_(2054), accept], [2054]), ([not_(2048), drop, {**accept, 'not': False, 'or': False, 'id': 1}], [2048]))
    for rules, wanted in good:
        shown = p.post(at, {'rules': rules})['rules']
        lab.equal(types(), wanted, f'{rules}: what is enforced')
        lab.equal(p.post(at, {'rules': shown})['rules'], shown, 'what is shown can be sent back')
        kinds = [rule['etherType'] for rule in shown if rule['type'] == 'MATCH_ETHERTYPE']
        lab.equal((kinds, all(rule['not'] for rule in shown[:-2]), shown[-1]['type']), (wanted or [], True, 'ACTION_ACCEPT'), f'{shown}')
    standing = p.get(at)
    others = ['ACTION_BREAK', 'ACTION_TEE', 'ACTION_WATCH', 'ACTION_REDIRECT', 'ACTION_DEBUG_LOG', 'MATCH_SOURCE_ZEROTIER_ADDRESS', 'MATCH_DEST_ZEROTIER_ADDRESS', 'MATCH_VLAN_ID',
              'MATCH_VLAN_PCP', 'MATCH_VLAN_DEI', 'MATCH_MAC_SOURCE', 'MATCH_MAC_DEST', 'MATCH_IPV4_SOURCE', 'MATCH_IPV4_DEST', 'MATCH_IPV6_SOURCE', 'MATCH_IPV6_DEST', 'MATCH_IP_TOS',
              'MATCH_IP_PROTOCOL', 'MATCH_ICMP', 'MATCH_IP_SOURCE_PORT_RANGE', 'MATCH_IP_DEST_PORT_RANGE', 'MATCH_CHARACTERISTICS', 'MATCH_FRAME_SIZE_RANGE', 'MATCH_RANDOM',
              'MATCH_TAGS_DIFFERENCE', 'MATCH_TAGS_BITWISE_AND', 'MATCH_TAGS_BITWISE_OR', 'MATCH_TAGS_BITWISE_XOR', 'MATCH_TAGS_EQUAL', 'MATCH_TAG_SENDER', 'MATCH_TAG_RECEIVER',
              'INTEGER_RANGE', 'match_ethertype', '']
    for name in others:
        message = p.post(at, {'rules': [not_(2048), drop, {'type': name}, accept], 'name': 'lost'}, status=400)['message']
        lab.check('rules[2]' in message and name in message, f'{name}: {message}')
    bad = ([], [drop], [accept, {}], [accept, None], [is_(2048), drop, accept], [not_(2048), accept], [not_(1000), drop, accept], [not_(70000), drop, accept],
           [{'type': 'MATCH_ETHERTYPE'}, drop, accept], *([not_(guess), drop, accept] for guess in ('0x0800', '2048x', ' 2048', '', False, True, 2048.5, [2048])), 'accept', {}, 7, [accept] * 2000, [x for kind in range(3000, 3017) for x in (is_(kind), accept)])
    for rules in bad:
        lab.check('rules' in p.post(at, {'rules': rules, 'private': False}, status=400)['message'], f'{str(rules)[:60]}')
    lab.equal(p.get(at), standing, 'what was refused changed nothing')
    for name, value in (('capabilities', [{'id': 1}]), ('tags', [{'id': 1}]), ('authTokens', [{'token': 1}]), ('ssoEnabled', True), ('ssoEnabled', 'true')):
        lab.check(name in p.post(at, {name: value}, status=400)['message'], f'{name} {value}')
    p.post(at, {'capabilities': [], 'tags': [], 'authTokens': [None], 'ssoEnabled': 'false'})
    for name in ('capabilities', 'tags'):
        lab.check(name in p.post(f'{at}/member/cafe000001', {name: [1], 'authorized': True}, status=400)['message'], f'member {name}')
    p.get(f'{at}/member/cafe000001', status=404)
    p.delete(at)


# ---- any order, and nothing lost


def orders(lab, p):
    lan, way = {'target': '10.62.0.0/16', 'via': None}, {'target': '192.168.62.0/24', 'via': '10.62.0.5'}
    other = {'target': '10.63.0.0/24', 'via': None}
    steps = ({'ipAssignmentPools': pools('10.62.1.1', '10.62.1.9')}, {'routes': [other, lan, way]}, {'v4AssignMode': {'zt': 'true'}}, {'dns': {'domain': 'A.example', 'servers': ['10.62.0.1']}})
    seen = []
    for order in itertools.permutations(steps):
        nwid, at = made(p)
        for body in order:
            p.post(at, body)
        got = p.get(at)
        seen.append({k: got[k] for k in ('routes', 'ipAssignmentPools', 'v4AssignMode', 'dns')})
        native = v1(lab, f'/v1/networks/{nwid}')
        lab.equal((native['ipv4'], native['auto_assign'], native['ranges']), ('10.62.0.0/16', True, [{'first': '10.62.1.1', 'last': '10.62.1.9'}]), f'{order}: in our own words')
        p.delete(at)
    lab.check(all(one == seen[0] for one in seen), f'whatever the order: {seen[0]}')
    lab.equal((seen[0]['routes'][0], sorted(r['target'] for r in seen[0]['routes'])), (lan, ['10.62.0.0/16', '10.63.0.0/24', '192.168.62.0/24']), 'routes')
    nwid, at = made(p, **{k: v for step in steps for k, v in step.items()}, name='all at once', description='d' * 150)
    lab.equal({k: p.get(at)[k] for k in seen[0]}, seen[0], 'all at once')

    whole = p.get(at)
    changes = (('name', 'other'), ('mtu', 1500), ('private', False), ('enableBroadcast', False), ('multicastLimit', 0), ('multicastLimit', 9), ('description', 'long ' * 80), ('rulesSource', 'accept;\n'),
               ('tagsByName', {'a': {'id': 1}}), ('dns', []), ('v4AssignMode', {'zt': False}), ('ipAssignmentPools', []), ('routes', [lan]), ('remoteTraceTarget', 'cafe000001'), ('description', ''))
    for name, value in changes:
        got = p.post(at, {**whole, name: value})
        lab.equal({k: v for k, v in got.items() if k != 'revision'}, {k: v for k, v in {**whole, name: value}.items() if k != 'revision'}, f'the whole object with another {name}')
        whole = got
    lab.equal(p.post(at, whole), whole, 'echoed as it is, it stays, its revision too')
    own = client.by_socket(os.path.join(lab.controller.home, 'farlan-controller.sock'))
    for long in ('long ' * 80, 'two\nlines', 'x' * 199 + '\u00e4' * 30):
        whole = p.post(at, {'description': long})
        lab.equal((whole['description'], v1(lab, f'/v1/networks/{nwid}')['description']), (long, long.replace('\n', ' ').encode()[:200].decode(errors='ignore')), 'ours is as much of it as fits')
        lab.equal(p.post(at, whole), whole, 'and said again it stays')
        own.ask('PATCH', f'/v1/networks/{nwid}', {'description': 'said elsewhere'})
        lab.equal(p.get(at)['description'], 'said elsewhere', 'the newer one counts')
    for wish in ({'routes': [{'target': '10.88.0.0/16', 'via': None}], 'ranges': [{'first': '10.88.0.5', 'last': '10.88.0.9'}]}, {'ipv4': '10.62.0.0/30', 'ranges': [], 'auto_assign': True},
                 {'ipv4': None}, {'description': 'said here'}, {'ipv4': '10.0.0.0/8', 'auto_assign': False}, {'ethertypes': [0, 33024]}, {'dns': {'domain': '', 'servers': ['10.0.0.1', 'fd00::1']}}):
        lab.equal(own.ask('PATCH', f'/v1/networks/{nwid}', wish).status, 200, f'our own door: {wish}')
        whole = p.get(at)
        lab.equal(p.post(at, whole), whole, f'echoed, though no client of theirs would have said it so: {wish}')
    p.delete(at)


def ranges(lab, p):
    """No range gives nothing, there; a network of ours without ranges gives from all of its pool, and shows that."""
    nwid, at = made(p, routes=[{'target': '10.64.0.0/24', 'via': None}], v4AssignMode={'zt': True})
    lab.equal((p.get(at)['ipAssignmentPools'], p.get(at)['v4AssignMode']['zt'], v1(lab, f'/v1/networks/{nwid}')['auto_assign']), ([], True, False), 'nothing to give from')
    p.post(at, {'ipAssignmentPools': pools('10.64.0.10', '10.64.0.20')})
    lab.check(v1(lab, f'/v1/networks/{nwid}')['auto_assign'], 'now there is')
    p.post(at, {'ipAssignmentPools': []})
    lab.equal((p.get(at)['v4AssignMode']['zt'], v1(lab, f'/v1/networks/{nwid}')['auto_assign']), (True, False), 'and no more')
    p.delete(at)
    nwid = lab.create('of-our-own', ipv4='10.65.0.0/24')
    at = net(nwid)
    whole = p.get(at)
    lab.equal((whole['ipAssignmentPools'], whole['v4AssignMode']['zt']), (pools('10.65.0.1', '10.65.0.254'), True), 'all of its pool')
    p.post(at, whole)
    lab.equal(v1(lab, f'/v1/networks/{nwid}')['ranges'], [], 'sent back it is as before')
    p.post(at, {'v4AssignMode': {'zt': False}})
    lab.equal(p.get(at)['ipAssignmentPools'], pools('10.65.0.1', '10.65.0.254'), 'the range stays when nothing is given')
    p.delete(at)


def names(lab, p):
    first, second, third = (made(p, name='twins') for _ in range(3))
    lab.equal([p.get(at)['name'] for _, at in (first, second, third)], ['twins'] * 3, 'names may stand twice')
    ours = [v1(lab, f'/v1/networks/{nwid}')['name'] for nwid, _ in (first, second, third)]
    lab.equal(ours, ['twins', f'twins-{second[0][10:]}', f'twins-{third[0][10:]}'], 'in our own words they differ')
    p.post(first[1], {'name': ''})
    lab.equal((p.get(first[1])['name'], v1(lab, f'/v1/networks/{first[0]}')['name']), ('', f'network-{first[0][10:]}'), 'and may be empty')
    long = 'ü' * 31
    for _, at in (first, second):
        p.post(at, {'name': long})
    lab.equal([p.get(at)['name'] for _, at in (first, second)], [long] * 2, 'long ones, too')
    for name in ('x' * 64, 'a\nb', 'a\u007fb'):
        lab.check('name' in p.post(first[1], {'name': name}, status=400)['message'], f'{name!r}')
    lab.controller.cli('network', 'set', second[0], '--name', 'by another door')
    lab.equal(p.get(second[1])['name'], 'by another door', 'renamed elsewhere')
    for _, at in (first, second, third):
        p.delete(at)


# ---- members


def awaited(lab, p):
    """Authorized before it asks, or only reserved; and then it asks."""
    nwid, at = made(p, routes=[{'target': '10.66.0.0/24', 'via': None}], ipAssignmentPools=pools('10.66.0.100', '10.66.0.120'), v4AssignMode={'zt': True}, v6AssignMode={'rfc4193': True})
    a, b = (lab.nodes[name].address() for name in 'AB')
    p.post(f'{at}/member/{a}', {'authorized': True, 'name': 'desk', 'ipAssignments': ['10.66.0.7']})
    p.post(f'{at}/member/{b}', {'name': 'shelf', 'ipAssignments': ['10.66.0.8'], 'activeBridge': True})
    waiting = {row['address']: row['approve'] for row in v1(lab, f'/v1/networks/{nwid}/preapprovals')['preapprovals']}
    lab.equal(waiting, {a: True, b: False}, 'in our own words')
    lab.nodes['A'].cli('join', nwid, '--wait', '20')
    lab.nodes['B'].cli('join', nwid, '--wait', '0', code=None)
    until('B asked', lambda: p.get(f'{at}/member/{b}')['identity'], 10)
    one, two = (p.get(f'{at}/member/{who}') for who in (a, b))
    lab.equal((one['authorized'], one['name'], one['ipAssignments']), (True, 'desk', ['10.66.0.7']), 'A is in with what it was to have')
    lab.equal((two['authorized'], two['name'], two['ipAssignments'], two['activeBridge']), (False, 'shelf', ['10.66.0.8'], True), 'B waits with what is reserved')
    got = p.post(f'{at}/member/{b}', {'authorized': True, 'name': 'board', 'ipAssignments': ['10.66.0.9'], 'activeBridge': False})
    lab.equal((got['authorized'], got['name'], got['ipAssignments'], got['activeBridge']), (True, 'board', ['10.66.0.9'], False), 'all in one act')
    lab.nodes['B'].cli('wait', nwid, '--wait', '20')
    seen = v1(lab, f'/v1/networks/{nwid}/members/{b}')
    lab.equal((seen['state'], seen['name'], seen['ips'], seen['flags']['bridge']), ('approved', 'board', ['10.66.0.9/24'], False), 'the same at once elsewhere')
    peer = p.get(f'/peer/{b}')
    lab.check(peer['role'] == 'LEAF' and peer['versionMajor'] >= 0 and (peer['latency'] == -1 or peer['paths'][0]['address'].startswith(lab.hosts['B'].address + '/')), f'{peer}')

    before = p.get(f'{at}/member/{b}')
    for body, status in (({'name': 'lost', 'ipAssignments': ['10.99.0.1']}, 400), ({'name': 'lost', 'authorized': False, 'ipAssignments': ['10.66.0.7']}, 409),
                         ({'name': 'lost', 'ipAssignments': ['fe80::1']}, 400), ({'name': 'lost', 'ipAssignments': [7]}, 400), ({'name': 'lost', 'ipAssignments': '10.66.0.9'}, 400),
                         ({'name': 'x' * 64, 'authorized': False}, 400), ({'activeBridge': True, 'ipAssignments': [f'10.66.0.{n}' for n in range(10, 20)]}, 400)):
        lab.check(p.post(f'{at}/member/{b}', body, status=status)['message'], f'{body}')
        lab.equal(p.get(f'{at}/member/{b}'), before, f'{str(body)[:60]} changed nothing')
    derived = v1(lab, f'/v1/networks/{nwid}/members/{b}')['ipv6'].split('/')[0]
    lab.equal(p.post(f'{at}/member/{b}', {'ipAssignments': ['10.66.0.9', derived]}), before, 'its own IPv6 may stand there')
    p.post(f'{at}/member/{b}', {'authorized': False})
    lab.equal((v1(lab, f'/v1/networks/{nwid}/members/{b}')['state'], v1(lab, f'/v1/networks/{nwid}/members/{b}')['reason']), ('revoked', 'deauthorized'), 'authorized no more')
    lab.controller.cli('member', 'ban', nwid, b)
    lab.check('ban' in p.post(f'{at}/member/{b}', {'authorized': True}, status=409)['message'], 'banned ones stay out')
    p.delete(f'{at}/member/{b}', status=409)
    lab.controller.cli('member', 'unban', nwid, b)
    p.delete(f'{at}/member/{b}')
    entries = v1(lab, f'/v1/audit?actor=zt1&network={nwid}')['entries']
    lab.check({'network.create', 'preapproval.create', 'member.approve', 'member.revoke', 'member.delete'} <= {e['action'] for e in entries}, f'the audit names who: {[e["action"] for e in entries]}')
    lab.check(all(e['from'] in ('127.0.0.1', '::1') for e in entries), 'and from where')
    p.delete(at)
    for name in 'AB':
        lab.nodes[name].cli('leave', nwid, code=None)


# ---- who means harm


def hostile(lab, p):
    nwid, at = made(p, name='stands')
    raw, standing = Raw(lab, p.daemon), p.get(at)
    bodies = [b'{', b'[]', b'7', b'"x"', b'null', b'true', b'{"a":}', b'{"name":"\xff\xfe"}', b'{"name":"a\\u0000b"}', b'\x00', b'{"name":"x"}{', b"{'name':'x'}", b'{"a":' * 3000,
              b'[' * 60000, b'{"mtu":1e999}', b'{"mtu":99999999999999999999999}', b'{"name":"\\ud800"}', b'name=x']
    for body in bodies:
        for method, path in (('POST', at), ('PUT', f'{at}/member/cafe000001'), ('POST', net(f'{nwid[:10]}______'))):
            answer = raw.send(method, path, body, {'Content-Type': 'application/json'})
            lab.check(answer.status == 400 and json.loads(answer.body).get('message'), f'{method} {path} {body[:40]!r}: {answer.status} {answer.body[:200]}')
    deep = '[' * 1000 + ']' * 1000
    wrong = ['{"routes":7}', '{"routes":[7]}', '{"routes":[{"target":"x"}]}', '{"routes":[{"target":"10.0.0.0/24","via":"fe80::1"}]}', '{"routes":[{"target":"10.0.0.0/99"}]}',
             '{"routes":[' + ','.join(f'{{"target":"10.{n}.0.0/24"}}' for n in range(65)) + ']}', '{"ipAssignmentPools":{}}', '{"ipAssignmentPools":[{}]}',
             '{"ipAssignmentPools":[{"ipRangeStart":"10.0.0.9","ipRangeEnd":"10.0.0.1"}]}', '{"ipAssignmentPools":[{"ipRangeStart":"fd00::1","ipRangeEnd":"fd00::9"}]}',
             '{"ipAssignmentPools":[' + ','.join(['{"ipRangeStart":"10.0.0.1","ipRangeEnd":"10.0.0.2"}'] * 17) + ']}', '{"v6AssignMode":{"zt":true}}', '{"v6AssignMode":{"6plane":"1"}}',
             '{"v6AssignMode":"zt"}', '{"dns":7}', '{"dns":{"domain":"a b"}}', '{"dns":{"domain":"x","servers":["nobody"]}}', '{"dns":{"domain":"x","servers":["10.0.0.1/8"]}}',
             '{"dns":{"domain":7}}', '{"dns":{"domain":"x","servers":7}}', '{"dns":{"domain":"x","servers":["10.0.0.1","10.0.0.2","10.0.0.3","10.0.0.4","10.0.0.5"]}}',
             f'{{"capabilities":{deep}}}', f'{{"rules":{deep}}}', f'{{"authTokens":{deep}}}']
    for body in wrong:
        answer = raw.send('POST', at, (body[:-1] + ',"name":"lost"}').encode())
        lab.check(answer.status == 400 and json.loads(answer.body).get('message'), f'{body[:60]}: {answer.status} {answer.body[:200]}')
    lab.equal(p.get(at), standing, 'what was refused changed nothing')
    lab.equal(raw.send('POST', at, b'{"rulesSource":"' + b'x' * 65536 + b'"}').status, 413, 'too large')
    p.post(at, {'rulesSource': 'x' * 60000})
    lab.check('65536' in p.post(at, {'tagsByName': {'y': 'y' * 60000}}, status=400)['message'], 'what is kept has an end')
    before, full = p.get('/controller/network'), '{"rulesSource":"' + 'x' * (65536 - 18) + '"}'
    lab.equal(raw.send('POST', net(f'{nwid[:10]}______'), full.encode()).status, 400, 'that it has no name is kept too, and does not fit')
    lab.equal(p.get('/controller/network'), before, 'what was refused is not half there')
    lab.equal(p.get(at)['rulesSource'], 'x' * 60000, 'and what was kept stands')
    for path in ('/controller/network/' + 'a' * 300, '/controller/network/..%2f..%2fv1', '/controller//network', '/%2e%2e/status', '/controller/network/' + nwid.upper()):
        answer = raw.send('GET', path)
        lab.check(answer.status in (200, 404), f'{path}: {answer.status}')
    lab.equal(raw.send('GET', '/controller/network%00').status, 400, 'a zero byte')
    lab.check(raw.send('GET', '/v1/status').status == 404 and client.by_tcp(lab.controller.host.ns, 8080).ask('GET', '/controller', headers={'X-ZT1-Auth': raw.token}).status == 404, 'two doors, two houses')
    p.delete(at)


CASES = (endpoints, doors, elsewhere, trap_1_booleans_as_strings, trap_2_unknown_fields, trap_3_token_file, trap_4_both_loopbacks, trap_5_member_list, trap_6_revision, trap_7_peers,
         trap_8_layout_of_ids, trap_9_content_types, trap_11_rules, orders, ranges, names, awaited, hostile)


def run(lab, cases=CASES):
    for one in cases:
        before, began = len(lab.failures), time.monotonic()
        try:
            one(lab, Program(lab, lab.controller))
        except (Failure, KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration, OSError, http.client.HTTPException) as error:
            at = error.__traceback__
            while at.tb_next and at.tb_next.tb_frame.f_code.co_filename == __file__:
                at = at.tb_next
            lab.fail(f'{type(error).__name__}: {error}, line {at.tb_lineno}')
        lab.failures[before:] = [f'{one.__name__}: {what}' for what in lab.failures[before:]]
        lab.note(f'zt1 {one.__name__}: {time.monotonic() - began:.1f} s')


def main():
    return zt1_lab.alone('C', lambda lab: run(lab, [one for one in CASES if not sys.argv[1:] or one.__name__ in sys.argv[1:]]))


if __name__ == '__main__':
    sys.exit(main())
