"""run.py: every route of a real controller, with a real root and nodes in network namespaces, each answer held against
ui/openapi/controller-v1.json (contract.py). A route that is not documented, a documented one that never succeeded, an answer
that is not as written: each is a failure. Root only, since it makes namespaces. The last line is "N passed, N failed".
"""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'netns'))
sys.dont_write_bytecode = True
import lab as bed  # noqa: E402
from lab import Failure, Lab, until  # noqa: E402

import client  # noqa: E402
import dashboards  # noqa: E402
import factors as second  # noqa: E402
import webhooks as hooks  # noqa: E402
from contract import Contract, TREE  # noqa: E402
from metrics import lint  # noqa: E402
import zt1  # noqa: E402
import zt1_clients  # noqa: E402
import zt1_lab  # noqa: E402

PASSWORD = 'correct horse battery'
PASSPHRASE = 'staple of the battery, and a bit more'


class Api:
    def __init__(self, lab):
        self.lab = lab
        self.controller = lab.controller
        self.socket = client.by_socket(os.path.join(self.controller.home, 'farlan-controller.sock'))
        self.ns = lab.controller.host.ns
        with open(os.path.join(TREE, 'ui/openapi/controller-v1.json')) as file:
            self.contract = Contract(json.load(file))
        self.strangers = {'http': self.tcp(), 'https': self.tls()}

    def tcp(self, headers=None):
        return client.by_tcp(self.ns, 8080, headers)

    def tls(self, headers=None):
        return client.by_tls(self.ns, 8443, headers)

    def judge(self, method, path, answer, status, who):
        name = f'{method} {path} {who}'
        bare = urllib.parse.urlsplit(path).path
        shown = answer.body[:400].decode(errors='replace')
        if self.lab.equal(answer.status, status, f'{name}: {shown}: status'):
            for wrong in self.contract.errors(method, bare, answer.status, answer.headers, answer.body):
                self.lab.fail(f'{name} -> {answer.status}: {wrong}: {shown}')

    def ask(self, method, path, body=None, status=200, by=None, headers=None, fits=True):
        """fits: the body is as documented; False when it is wrong on purpose."""
        if isinstance(body, dict) and fits:
            for wrong in self.contract.body_errors(method, urllib.parse.urlsplit(path).path, body):
                self.lab.fail(f'{method} {path}: what the test sends: {wrong}')
        answer = (by or self.socket).ask(method, path, body, headers)
        self.judge(method, path, answer, status, 'by TCP' if by else '')
        answer.value = json.loads(answer.body) if answer.status != 304 and 'json' in answer.headers.get('Content-Type', '') else None
        return answer

    def get(self, path, **how):
        return self.ask('GET', path, **how).value

    def check(self, good, what):
        return self.lab.check(good, what)

    def pointers(self, answer, *wanted):
        got = [e['pointer'] for e in (answer.value or {}).get('errors', [])]
        self.check(set(wanted) <= set(got), f'errors name {wanted}: {answer.value}')


# ---- cases


def table(api):
    for wrong in api.contract.table_errors('ui/controller_api.c') or [None]:
        api.check(wrong is None, f'table of routes: {wrong}')


def health(api):
    for by in (None, api.strangers['http'], api.strangers['https']):
        api.ask('GET', '/healthz', by=by)
        api.ask('GET', '/readyz', by=by)
        api.ask('GET', '/healthz', by=by, headers={'Host': 'probe.example'})  # whoever asks, by whatever name
    api.ask('GET', '/metrics', by=api.strangers['http'], status=401)
    document = api.ask('GET', '/v1/openapi.json', by=api.strangers['http'])
    api.check(document.value == api.contract.document, 'the served description is that of the tree')
    api.ask('GET', '/v1/openapi.json', status=304, headers={'If-None-Match': document.headers['ETag']})


def status(api):
    value = api.get('/v1/status')
    api.check(value['first_run'] is True and value['networks'] == [], f'a fresh controller: {value}')
    api.check(value['online'] and value['roots'][0]['address'] == api.lab.root.address(), 'its root answers')
    api.check(value['page'].startswith('https://127.0.0.1:8443'), f'the page: {value["page"]}')
    shown = subprocess.run(['openssl', 'x509', '-in', os.path.join(api.controller.home, 'tls.crt'), '-noout', '-fingerprint', '-sha256'], capture_output=True, text=True)
    if shown.returncode == 0:
        api.check(shown.stdout.split('=')[1].strip().replace(':', '').lower() == value['page_certificate'], 'the certificate has the fingerprint that status shows')
    head = api.socket.ask('HEAD', '/v1/status')
    api.check(head.status == 200 and head.body == b'', f'HEAD: {head.status} {head.body[:80]}')


def wrong_paths(api):
    for path in ('/v1/nothing', '/v1/networks/', '/v1//networks', '/v1/networks/x/members/y/z/w', '/v1/' + 'a' * 300):
        api.ask('GET', path, status=404)
    for path in ('/v1/tokens%00x', '/v1/networks%00', '/v1/networks?q=a%00b'):  # the contract knows no such path
        answer = api.socket.ask('GET', path)
        api.check(answer.status == 400 and json.loads(answer.body)['title'] == 'a zero byte', f'{path}: {answer.status} {answer.body[:200]}')
    answer = api.ask('DELETE', '/v1/networks', status=405)
    api.check(sorted(answer.headers.get('Allow', '').split(', ')) == ['GET', 'POST'], f'Allow: {answer.headers}')
    api.ask('POST', '/v1/status', status=405)
    api.pointers(api.ask('GET', '/v1/networks?lmit=3&nme=x', status=400), '?lmit', '?nme')
    api.ask('GET', '/v1/status?' + '&'.join(f'a{i}=1' for i in range(30)), status=400)


def given(api, path):
    """What a network gives by itself, and what may pass in it; each list whole."""
    one = api.get(path)
    api.check((one['ranges'], one['auto_assign'], one['ethertypes'], one['ipv6_auto']) == ([], True, None, True) and one['ipv6'], f'{one}')
    ranges = [{'first': '10.20.0.50', 'last': '10.20.0.59'}, {'first': '10.21.0.1', 'last': '10.21.0.9'}]
    two = api.ask('PATCH', path, {'ranges': ranges, 'auto_assign': False, 'ethertypes': [34525, 2048, 0, 2048], 'ipv6_auto': False}).value
    api.check((two['ranges'], two['auto_assign'], two['ethertypes'], two['ipv6_auto']) == (ranges, False, [0, 2048, 34525], False), f'{two}')
    api.check(two['pool']['size'] == 10 and two['ipv6'] is None and any('10.21.0.1' in w for w in two['warnings']), f'{two}')
    for body, field in (({'ranges': [{'first': '10.20.0.1'}]}, '/ranges'), ({'ranges': 7}, '/ranges'), ({'ethertypes': [1535]}, '/ethertypes'),
                        ({'ethertypes': ['ipv4']}, '/ethertypes'), ({'ethertypes': list(range(2048, 2065))}, '/ethertypes'),
                        ({'auto_assign': 1}, '/auto_assign'), ({'ipv6_auto': None}, '/ipv6_auto')):
        api.pointers(api.ask('PATCH', path, body, status=400, fits=False), field)
    api.ask('PATCH', path, {'ranges': [{'first': '10.20.0.9', 'last': '10.20.0.1'}]}, status=400)
    api.check(api.get(path)['ranges'] == ranges, 'a refusal changes nothing')
    back = api.ask('PATCH', path, {'ranges': [], 'auto_assign': True, 'ethertypes': None, 'ipv6_auto': True}).value
    api.check((back['ranges'], back['auto_assign'], back['ethertypes'], back['ipv6_auto']) == ([], True, None, True), f'{back}')


def networks(api):
    made = api.ask('POST', '/v1/networks', {'name': 'office', 'ipv4': '10.20.0.0/24', 'description': 'upstairs'}, status=201)
    office = made.value['id']
    path = f'/v1/networks/{office}'
    one = api.ask('GET', path)
    api.check(one.headers['ETag'] == made.headers['ETag'] and one.value['ipv4'] == '10.20.0.0/24', f'{one.value}')
    api.ask('GET', path, status=304, headers={'If-None-Match': f'W/{one.headers["ETag"]}, "77"'})
    changed = api.ask('PATCH', path, {'mtu': 1400, 'routes': [{'target': '192.168.7.0/24', 'via': '10.20.0.2'}, {'target': '192.168.8.0/24', 'via': None, 'metric': 5}],
                                      'dns': {'domain': 'office.lan', 'servers': ['10.20.0.2']}, 'broadcast': False}, headers={'If-Match': one.headers['ETag']})
    api.check(changed.value['dns'] == {'domain': 'office.lan', 'servers': ['10.20.0.2']} and len(changed.value['routes']) == 2 and changed.value['broadcast'] is False, f'{changed.value}')
    stale = api.ask('PATCH', path, {'mtu': 1401}, status=412, headers={'If-Match': one.headers['ETag']})
    api.check(stale.headers['ETag'] == changed.headers['ETag'] and api.get(path)['mtu'] == 1400, '412 changes nothing and says what stands there')
    api.ask('DELETE', path, status=412, headers={'If-Match': one.headers['ETag']})
    given(api, path)
    overlap = api.ask('POST', '/v1/networks', {'name': 'clash', 'ipv4': '10.20.0.0/16'}, status=201)
    api.check(overlap.value.get('warnings'), f'an overlap is told: {overlap.value}')
    api.ask('DELETE', f'/v1/networks/{overlap.value["id"]}')
    api.ask('DELETE', f'/v1/networks/{overlap.value["id"]}', status=404)
    api.ask('GET', f'/v1/networks/{overlap.value["id"]}', status=404)
    api.ask('GET', '/v1/networks/xyz', status=400)
    api.ask('POST', '/v1/networks', {'name': 'office'}, status=409)
    api.pointers(api.ask('POST', '/v1/networks', {'name': 'x', 'colour': 'red', 'shape': 1}, status=400, fits=False), '/colour', '/shape')
    api.pointers(api.ask('POST', '/v1/networks', {'name': 7}, status=400, fits=False), '/name')
    for body in (b'{', b'[]', b'"x"', b'{"name":"a","name":"b"}', b'\xff\xfe', b'{"name":' + b'[' * 3000):
        api.ask('POST', '/v1/networks', body, status=400)
    api.judge('POST', '/v1/networks', api.socket.announce('POST', '/v1/networks', 70000), 413, 'too large')
    api.check([n['id'] for n in api.get('/v1/networks')['networks']] == [office], 'the list has what there is')
    return office


def members(api):
    """A node asks, and everything that may become of it."""
    lab = api.lab
    lab.nwid = api.ask('POST', '/v1/networks', {'name': 'home', 'ipv4': bed.POOL}, status=201).value['id']
    path = f'/v1/networks/{lab.nwid}/members'
    for name in 'AB':
        lab.nodes[name].cli('join', lab.nwid, '--wait', '0', code=None)
    a, b = (lab.nodes[name].address() for name in 'AB')
    until('two are pending', lambda: api.get(path + '?state=pending')['total'] == 2, 15)
    page = api.ask('GET', path + '?limit=1&sort=address')
    api.check(page.value['total'] == 2 and len(page.value['members']) == 1 and page.value['next'], f'{page.value}')
    follow = re.match('<(.*)>; rel="next"', page.headers.get('Link', ''))
    if api.check(follow is not None, f'Link: {page.headers}'):
        second = api.get(follow.group(1))
        api.check([m['address'] for m in page.value['members'] + second['members']] == sorted([a, b]) and second['next'] is None, f'{second}')
    for query in ('online=true', 'online=false', 'link=direct', 'link=relay', 'link=offline', 'tag=x', 'q=zz', 'sort=state', 'sort=name', 'sort=last_seen', 'state=pending,approved'):
        api.ask('GET', f'{path}?{query}')
    for query in ('limit=0', 'limit=10001', 'limit=x', 'state=odd', 'online=maybe', 'sort=colour', 'cursor=zzz', 'link=odd'):
        api.ask('GET', f'{path}?{query}', status=400)
    began = time.monotonic()
    approved = api.ask('POST', f'{path}/{a}/approve', {'name': 'alpha', 'tags': ['dept.x']})
    api.check(approved.value['state'] == 'approved' and approved.value['ips'], f'{approved.value}')
    lab.nodes['A'].cli('wait', lab.nwid, '--wait', 20 * bed.SLOW, timeout=30 * bed.SLOW)
    lab.note(f'approved and up after {(time.monotonic() - began) * 1000:.0f} ms')
    one = api.ask('GET', f'{path}/{a}')
    api.ask('GET', f'{path}/{a}', status=304, headers={'If-None-Match': api.ask('GET', f'{path}/{a}').headers['ETag']})
    named = api.ask('PATCH', f'{path}/{a}', {'name': 'renamed', 'description': 'a box', 'ips': ['10.77.0.20'], 'relay': False, 'expires_in': 86400})
    api.check(named.value['ips'] == ['10.77.0.20/24'] and named.value['expires_in'] in range(86000, 86401) and named.value['flags']['relay'] is False, f'{named.value}')
    api.ask('PATCH', f'{path}/{a}', {'name': 'late'}, status=412, headers={'If-Match': '"1"'})
    api.check(one.headers['ETag'] != named.headers['ETag'], 'a change is another revision')
    api.ask('PATCH', f'{path}/{a}', {'expires_in': None})
    api.pointers(api.ask('PATCH', f'{path}/{a}', {'nme': 'x'}, status=400, fits=False), '/nme')
    api.ask('PATCH', f'{path}/{a}', {'ips': ['10.99.0.1']}, status=400)
    api.ask('GET', f'{path}/0123456789', status=404)
    api.ask('GET', f'{path}/xyz', status=400)
    api.ask('GET', f'/v1/networks/{lab.nwid[:-6]}ffffff/members', status=404)
    done = api.ask('POST', f'/v1/networks/{lab.nwid}/members:batch', {'action': 'approve', 'members': [b, '0123456789']}).value['results']
    api.check([r['ok'] for r in done] == [True, False] and done[1]['problem']['status'] == 404, f'{done}')
    api.ask('POST', f'/v1/networks/{lab.nwid}/members:batch', {'action': 'tag', 'members': [a, b], 'tags': ['red']})
    api.check(api.get(path + '?tag=red')['total'] == 2, 'tags find them')
    api.ask('POST', f'/v1/networks/{lab.nwid}/members:batch', {'action': 'explode', 'members': [a]}, status=400, fits=False)
    lab.nodes['B'].cli('wait', lab.nwid, '--wait', 20 * bed.SLOW, timeout=30 * bed.SLOW)
    try:
        until('both are shown with how they are reached', lambda: all(m['online'] and m['link'] for m in api.get(path)['members']), 20)
    except Failure as error:
        lab.fail(f'{error}: {[(m["address"], m["online"], m["link"], m["rtt_ms"]) for m in api.get(path)["members"]]}')
    shape = api.get(f'/v1/networks/{lab.nwid}/topology')
    api.check({n['role'] for n in shape['nodes']} == {'member', 'controller', 'root'} and shape['links'], f'{shape}')
    api.ask('GET', f'/v1/networks/{lab.nwid[:-6]}ffffff/topology', status=404)
    for verb, state in (('revoke', 'revoked'), ('approve', 'approved'), ('ban', 'banned')):
        value = api.ask('POST', f'{path}/{b}/{verb}', {} if verb == 'approve' else {'reason': 'lost'}).value
        api.check(value['state'] == state, f'{verb}: {value["state"]}')
    api.ask('POST', f'{path}/{b}/unban', {})
    api.ask('POST', f'{path}/{b}/deny', {'reason': 'no'})
    api.ask('POST', f'{path}/0123456789/revoke', {}, status=404)
    gone = api.ask('DELETE', f'{path}/{b}').value
    api.check(gone['address'] == b, 'the answer is who it was')
    api.ask('GET', f'{path}/{b}', status=404)


def preapprovals(api):
    path = f'/v1/networks/{api.lab.nwid}/preapprovals'
    made = api.ask('POST', path, {'address': 'a0deadbeef', 'name': 'later', 'tags': ['red'], 'ip': '10.77.0.99', 'flags': {'bridge': True}}, status=201).value
    api.check(made['ips'] == ['10.77.0.99/24'] and made['flags']['bridge'] is True, f'{made}')
    api.check([p['address'] for p in api.get(path)['preapprovals']] == ['a0deadbeef'], 'it is in the list')
    api.check(made['approve'] is True and made['auto_ip'] is True, f'{made}')
    api.ask('POST', path, {'name': 'nobody'}, status=400, fits=False)
    kept = api.ask('POST', path, {'address': 'a0deadbee0', 'name': 'kept', 'approve': False, 'auto_ip': False}, status=201).value
    api.check(kept['approve'] is False and kept['auto_ip'] is False, f'{kept}')
    api.ask('POST', path, {'address': 'a0deadbee0', 'approve': False, 'expires_in': 60}, status=400)
    api.pointers(api.ask('POST', path, {'address': 'a0deadbee0', 'approve': 'no'}, status=400, fits=False), '/approve')
    api.ask('DELETE', f'{path}/a0deadbee0')
    api.ask('DELETE', f'{path}/a0deadbeef')
    api.ask('DELETE', f'{path}/a0deadbeef', status=404)
    api.ask('GET', f'/v1/networks/{api.lab.nwid[:-6]}ffffff/preapprovals', status=404)


def invites(api):
    path = f'/v1/networks/{api.lab.nwid}/invites'
    made = api.ask('POST', path, {'name': 'guests', 'uses': 3, 'expires_in': 3600, 'tags': ['guest']}, status=201)
    api.check(made.value['uses_left'] == 3 and made.value['state'] == 'open', f'{made.value}')
    endless = api.ask('POST', path, {'uses': None, 'ephemeral': 3600, 'flags': {'relay': False}}, status=201).value
    api.check(endless['uses'] is None and endless['ephemeral'] == 3600, f'{endless}')
    listed = api.ask('GET', path)
    api.check(listed.value['total'] == 2 and b'farlan://' not in listed.body and b'<svg' not in listed.body, 'the secret is in one answer only')
    one = api.ask('GET', f'{path}/{made.value["id"]}')
    api.check('link' not in one.value and one.headers['ETag'] == made.headers['ETag'], f'{one.value}')
    api.ask('GET', f'{path}/{made.value["id"]}', status=304, headers={'If-None-Match': one.headers['ETag']})
    api.ask('DELETE', f'{path}/{made.value["id"]}', status=412, headers={'If-Match': '"1"'})
    api.check(api.ask('DELETE', f'{path}/{made.value["id"]}').value['state'] == 'revoked', 'revoked')
    api.ask('GET', f'{path}/00000000000000ff', status=404)
    api.ask('GET', f'{path}/ff', status=400)
    api.ask('POST', path, {'uses': 0}, status=400, fits=False)


def accounts(api):
    """The way in of a browser, from the one-time link to a password."""
    lab, stranger = api.lab, api.strangers['https']
    url = api.ask('POST', '/v1/page-link', {}).value['url']
    once = url.split('#once=')[1]
    origin = {'Origin': 'https://127.0.0.1:8443', 'Sec-Fetch-Site': 'same-origin'}
    api.ask('POST', '/v1/session', {'once': '0' * 64}, status=401, by=stranger, headers=origin)
    first = api.ask('POST', '/v1/session', {'once': once}, by=stranger, headers=origin)
    cookie = first.headers['Set-Cookie']
    api.check(cookie.startswith('__Host-') and all(word in cookie for word in ('HttpOnly', 'SameSite=Strict', 'Secure', 'Path=/')), cookie)
    api.ask('POST', '/v1/session', {'once': once}, status=401, by=stranger, headers=origin)
    browser = api.tls({**origin, 'Cookie': cookie.split(';')[0]})
    api.check(api.get('/v1/session', by=browser)['scopes'] == ['admin'], 'a link is an admin')
    setup = api.ask('POST', '/v1/setup', {'user': 'anna', 'password': PASSWORD}, status=201, by=browser)
    api.ask('POST', '/v1/setup', {'user': 'bert', 'password': PASSWORD}, status=409)
    browser = api.tls({**origin, 'Cookie': setup.headers['Set-Cookie'].split(';')[0]})
    api.check(api.get('/v1/session', by=browser)['user'] == 'anna' and api.get('/v1/status', by=browser)['user'] == 'anna', 'the first user is signed in')
    api.ask('POST', '/v1/networks', {'name': 'foreign'}, status=403, by=browser, headers={'Origin': 'https://evil.example'})
    api.ask('POST', '/v1/networks', {'name': 'foreign'}, status=403, by=browser, headers={'Sec-Fetch-Site': 'cross-site'})
    api.ask('GET', '/v1/status', status=403, by=browser, headers={'Host': 'evil.example'})
    api.ask('POST', '/v1/networks', b'name=x', status=415, by=browser, headers={'Content-Type': 'application/x-www-form-urlencoded'})
    api.ask('POST', '/v1/session', {'user': 'anna', 'password': 'wrong'}, status=401, by=stranger, headers=origin)
    began = time.monotonic()
    login = api.ask('POST', '/v1/session', {'user': 'anna', 'password': PASSWORD}, by=stranger, headers=origin)
    lab.note(f'signed in by a password in {(time.monotonic() - began) * 1000:.0f} ms')
    other = api.tls({**origin, 'Cookie': login.headers['Set-Cookie'].split(';')[0]})
    bert = api.ask('POST', '/v1/users', {'name': 'bert', 'password': PASSWORD}, status=201)
    api.ask('POST', '/v1/users', {'name': 'bert', 'password': PASSWORD}, status=409)
    api.ask('POST', '/v1/users', {'name': 'Bad Name', 'password': PASSWORD}, status=400)
    api.ask('PATCH', '/v1/users/bert', {'password': PASSWORD + '2'}, headers={'If-Match': bert.headers['ETag']})
    api.ask('PATCH', '/v1/users/bert', {'password': PASSWORD + '3'}, status=412, headers={'If-Match': bert.headers['ETag']})
    api.ask('PATCH', '/v1/users/anna', {'password': PASSWORD + '2'}, status=400, by=browser)  # her own needs the old one
    api.ask('PATCH', '/v1/users/anna', {'password': PASSWORD + '2', 'old_password': 'guess'}, status=403, by=browser)
    api.check({u['name'] for u in api.get('/v1/users')['users']} == {'anna', 'bert'}, 'two users')
    api.ask('DELETE', '/v1/users/bert')
    api.ask('DELETE', '/v1/users/bert', status=404)
    api.ask('DELETE', '/v1/session', {}, by=other)
    api.ask('GET', '/v1/session', status=401, by=other)
    api.ask('GET', '/v1/session')
    api.ask('DELETE', '/v1/session', {}, status=400)
    return browser


def tokens(api):
    """Each route for a stranger, for a token with too little, and for one with enough."""
    lab = api.lab
    made = {}
    for name, scopes in (('reader', ['read']), ('clerk', ['members:approve']), ('writer', [f'network:{lab.nwid}:write']), ('boss', ['admin'])):
        made[name] = api.ask('POST', '/v1/tokens', {'name': name, 'scopes': scopes, 'expires_in': 3600 if name == 'reader' else None}, status=201).value
    by = {name: api.tcp({'Authorization': f'Bearer {token["token"]}'}) for name, token in made.items()}
    listed = api.ask('GET', '/v1/tokens')
    api.check(listed.value['total'] == 4 and b'farc_' not in listed.body, 'secrets are not listed')
    api.ask('POST', '/v1/tokens', {'name': 'odd', 'scopes': ['everything']}, status=400, fits=False)
    api.ask('GET', '/v1/status', status=401, by=api.tcp({'Authorization': f'Bearer {made["boss"]["token"][:-1]}{"y" if made["boss"]["token"][-1] == "x" else "x"}'}))
    api.ask('GET', '/v1/status', status=401, by=api.tcp({'Authorization': 'Basic eDp4'}))
    other = next(n['id'] for n in api.get('/v1/networks')['networks'] if n['id'] != lab.nwid)
    # B asks anew: the right to approve is for those who wait.
    lab.nodes['B'].cli('leave', lab.nwid, code=None)
    lab.nodes['B'].cli('join', lab.nwid, '--wait', '0', code=None)
    a, b = (lab.nodes[name].address() for name in 'AB')
    until('B waits', lambda: [m['address'] for m in api.get(f'/v1/networks/{lab.nwid}/members?state=pending')['members']] == [b], 15)
    fill = {'network': lab.nwid, 'member': a, 'invite': '00000000000000ff', 'user': 'anna', 'token': 'ff', 'webhook': '00000000000000ff', 'delivery': '00000000000000ff'}
    may = {'self': {'reader', 'clerk', 'writer', 'boss'}, 'read': {'reader', 'boss'}, 'approve': {'clerk', 'boss'}, 'write': {'boss'}, 'admin': {'boss'}, 'local': set()}
    own = {('PATCH', '/v1/users/{user}'): {'boss'}, ('DELETE', '/v1/users/{user}/second-factor'): {'boss'}}  # a person's own, or an admin's
    own.update({('POST', f'/v1/users/{{user}}/{what}'): set() for what in ('second-factor', 'second-factor/confirm', 'recovery-codes')})
    for method, path in sorted(api.contract.operations):
        scope = api.contract.document['paths'][path][method.lower()]['x-farlan-scope']
        if scope == 'open':
            continue
        real = re.sub(r'\{(\w+)\}', lambda m: b if scope == 'approve' and m.group(1) == 'member' else fill[m.group(1)], path)
        allowed = own[method, path] if (method, path) in own else set(may[scope]) | ({'writer'} if '{network}' in path and scope in ('read', 'approve', 'write') else set())
        api.ask(method, real, None if method == 'GET' else b'{', status=401 if scope != 'local' else 403, by=api.strangers['http'])
        for name in by:
            # Half an object: who is let in gets 400 for it, or an answer to what needs no body; nothing is changed.
            answer = by[name].ask(method, real, None if method == 'GET' else b'{') if path != '/v1/events' else None  # that does not end
            if answer:
                api.check((answer.status not in (401, 403)) == (name in allowed), f'{method} {path} by {name}: {answer.status}, scope {scope}')
                for wrong in api.contract.errors(method, real, answer.status, answer.headers, answer.body):
                    api.check(False, f'{method} {path} by {name}: {wrong}')
    member = f'/v1/networks/{lab.nwid}/members'
    for verb in ('approve', 'deny'):
        api.ask('POST', f'{member}/{a}/{verb}', {}, status=403, by=by['clerk'])
    api.check(api.get(f'{member}/{a}')['state'] == 'approved', 'who is let in is not for a clerk to decide about')
    api.check(api.ask('POST', f'{member}/{b}/deny', {'reason': 'unknown'}, by=by['clerk']).value['state'] == 'denied', 'who waits is')
    api.ask('PATCH', f'/v1/networks/{lab.nwid}', {'description': 'by token'}, by=by['writer'])
    api.ask('PATCH', f'/v1/networks/{other}', {'description': 'by token'}, status=403, by=by['writer'])
    api.ask('GET', f'/v1/networks/{other}', status=403, by=by['writer'])
    api.ask('GET', '/metrics', by=by['reader'])
    api.ask('DELETE', f'/v1/tokens/{made["boss"]["id"]}')
    api.ask('GET', '/v1/status', status=401, by=by['boss'])
    api.ask('DELETE', f'/v1/tokens/{made["boss"]["id"]}', status=404)
    return by


def limits(api):
    """Too many requests by one token are answered 429 with a time to wait, and then it goes on."""
    token = api.ask('POST', '/v1/tokens', {'name': 'eager', 'scopes': ['read']}, status=201).value['token']
    eager = api.tcp({'Authorization': f'Bearer {token}'})
    limited = next((answer for answer in eager.flood('/v1/session', 3000) if answer.status != 200), None)
    if api.check(limited is not None, 'a flood of requests is limited'):
        api.judge('GET', '/v1/session', limited, 429, 'flood')
        api.check(limited.headers.get('Retry-After', '').isdigit(), f'Retry-After: {limited.headers}')
        time.sleep(int(limited.headers['Retry-After']) + 0.2)
        api.judge('GET', '/v1/session', eager.ask('GET', '/v1/session'), 200, 'later')
    api.ask('GET', '/v1/status')  # the unix socket is not limited


def audit(api):
    first = api.ask('GET', '/v1/audit?limit=3')
    api.check(len(first.value['entries']) == 3 and first.value['next'] and first.value['total'] > 10, f'{first.value}')
    second = api.get(re.match('<(.*)>; rel="next"', first.headers['Link']).group(1))
    seqs = [e['seq'] for e in first.value['entries'] + second['entries']]
    api.check(seqs == sorted(seqs, reverse=True) and len(set(seqs)) == len(seqs), f'newest first: {seqs}')
    a = api.lab.nodes['A'].address()
    for query in (f'network={api.lab.nwid}', f'member={a}', 'action=member.approve', 'actor=user:anna'):
        value = api.get(f'/v1/audit?{query}')
        api.check(value['total'] > 0, f'audit of {query}')
    for query in ('limit=0', 'cursor=x', 'network=1', 'member=x', 'colour=red'):
        api.ask('GET', f'/v1/audit?{query}', status=400)
    whole = api.ask('POST', '/v1/audit/verify', {}).value
    api.check(whole['ok'] and whole['entries'] == api.get('/v1/audit?limit=1')['total'], f'{whole}')
    api.check(api.ask('POST', '/v1/audit/verify', {'head': whole['head']}).value['head_found'], 'the head is found again')
    api.ask('POST', '/v1/audit/verify', {'head': 'xyz'}, status=400)


def backup(api):
    made = api.ask('POST', '/v1/backup', {'passphrase': PASSPHRASE})
    api.check(len(made.body) > 1000 and b'SQLite' not in made.body and made.headers['Content-Disposition'].startswith('attachment;'), f'{len(made.body)} bytes')
    api.ask('POST', '/v1/backup', {}, status=400, fits=False)
    octets = {'Content-Type': 'application/octet-stream', 'Farlan-Passphrase': urllib.parse.quote(PASSPHRASE)}
    report = api.ask('POST', '/v1/restore?dry_run=true', made.body, headers=octets).value
    api.check(report['controller'] == api.controller.address() and report['networks'] == len(api.get('/v1/networks')['networks']), f'{report}')
    api.ask('POST', '/v1/restore?dry_run=true', made.body, status=400, headers={**octets, 'Farlan-Passphrase': 'another one, and a bit more'})
    api.ask('POST', '/v1/restore?dry_run=true', made.body[:-9], status=400, headers=octets)
    api.ask('POST', '/v1/restore', made.body, status=409, headers=octets)
    api.judge('POST', '/v1/restore', api.tcp().announce('POST', '/v1/restore?dry_run=true', 1000000, octets), 401, 'by a stranger, before the file comes')
    api.judge('POST', '/v1/restore', api.socket.announce('POST', '/v1/restore?dry_run=true', 1 << 40, octets), 413, 'more than any disk')
    trust = api.ask('POST', '/v1/trust', {}).value
    api.check(trust == {'schema': 'farlan.trust/1', 'trusted': True, 'changed': False}, f'{trust}')


class Listener:
    """One stream of events, read in a thread."""

    def __init__(self, who, headers=None):
        self.response = who.stream('/v1/events', headers)
        self.events, self.raw = [], []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip('\n')
                self.raw.append(line)
                if not line and event:
                    self.events.append(event)
                    event = {}
                elif ': ' in line and not line.startswith(':'):
                    key, value = line.split(': ', 1)
                    event[key] = json.loads(value) if key == 'data' else value
        except (OSError, ValueError):
            pass

    def kinds(self):
        return [e['data'].get('kind', e['event']) for e in self.events]


def events(api, readers):
    lab, path = api.lab, f'/v1/networks/{api.lab.nwid}'
    here, there = Listener(api.socket), Listener(readers['reader'])
    lines = api.socket.stream('/v1/events', {'Accept': 'application/x-ndjson'})
    api.check(lines.getheader('Content-Type') == 'application/x-ndjson' and json.loads(lines.readline())['event'] == 'hello', 'lines for programs')
    api.contract.seen.add(('GET', '/v1/events', here.response.status))
    api.check(here.response.getheader('Content-Type') == 'text/event-stream' and here.response.getheader('Cache-Control') == 'no-store', 'a stream')
    until('hello', lambda: here.events and there.events)
    api.check(here.events[0]['event'] == 'hello' and set(here.events[0]['data']) == {'version', 'epoch', 'seq'}, f'{here.events}')
    began = time.monotonic()
    api.ask('PATCH', path, {'description': 'told'})
    until('the change is told to both', lambda: all('network' in l.kinds() for l in (here, there)), 5)
    lab.note(f'a change was told after {(time.monotonic() - began) * 1000:.0f} ms')
    told = json.loads(lines.readline())
    api.check(told['event'] == 'change' and told['id'], f'{told}')
    last = there.events[-1]['id']
    api.ask('PATCH', path, {'description': 'meanwhile'})
    back = Listener(readers['reader'], {'Last-Event-ID': last})
    until('what was missed is told', lambda: 'network' in back.kinds(), 5)
    api.check('reset' not in back.kinds(), f'{back.kinds()}')
    lost = Listener(readers['reader'], {'Last-Event-ID': '0123456789abcdef-7'})
    until('who is of another run looks anew', lambda: 'reset' in lost.kinds(), 5)
    # Those by TCP are asked again who they are when accounts change.
    api.ask('POST', '/v1/tokens', {'name': 'new', 'scopes': ['read']}, status=201)
    until('streams by TCP end', lambda: there.response.isclosed(), 5)
    api.check(not here.response.isclosed(), 'that by the socket does not')
    api.strangers['http'].close()
    api.ask('GET', '/v1/events', status=401, by=api.strangers['http'])


def webhooks(api):
    hooks.webhooks(api)


def metrics(api):
    answer = api.ask('GET', '/metrics')
    text = answer.body.decode()
    for wrong in lint(text) or [None]:
        api.check(wrong is None, f'metrics: {wrong}')
    for wanted in (f'farlan_controller_members{{network="{api.lab.nwid}",state="approved"}} 1', f'farlan_controller_online{{network="{api.lab.nwid}"}} ', 'farlan_build_info{version="',
                   'farlan_controller_ready 1', 'farlan_root_sessions 1', 'farlan_db_size_bytes '):
        api.check(wanted in text, f'metrics have {wanted}')
    pushes = int(re.search(r'^farlan_controller_config_push_seconds_count (\d+)', text, re.M).group(1))
    api.check(pushes >= 1, 'a push was measured')
    api.lab.note('pushes: ' + ' '.join(re.findall(r'^farlan_controller_config_push_seconds_(?:sum|count) .*', text, re.M)))
    scrapes = {'farlan-controller': text}
    for who, daemon in (('farland', api.lab.nodes['A']), ('root', api.lab.root)):  # those have it on their unix socket only
        scrapes[who] = client.by_socket(os.path.join(daemon.home, 'farland.sock')).ask('GET', '/metrics').body.decode()
        for wrong in lint(scrapes[who]) or [None]:
            api.check(wrong is None, f'metrics of the {who}: {wrong}')
    api.check(api.lab.nodes['A'].cli('metrics').stdout.count('# TYPE ') == scrapes['farland'].count('# TYPE '), 'farlan metrics prints them')
    api.check(f'farlan_node_network_up{{network="{api.lab.nwid}"}} 1' in scrapes['farland'], 'the network works at A')
    api.check('farlan_root_registered ' in scrapes['root'], 'a root says who is registered')
    wrong, asked = dashboards.errors(list(scrapes.values()))
    for what in wrong or [None]:
        api.check(what is None, f'contrib: {what}')
    api.check(asked > 40, f'the dashboards ask {asked} queries')
    api.check(shutil.which('promtool'), 'promtool is installed')
    for who, page in scrapes.items():
        judged = subprocess.run(['promtool', 'check', 'metrics'], input=page, capture_output=True, text=True)
        api.check(judged.returncode == 0, f'promtool: {who}: {judged.stdout}{judged.stderr}')


def traffic(api):
    """Shapes and refusals; that the figures are true is for those who send frames."""
    a = api.lab.nodes['A'].address()
    network = f'/v1/networks/{api.lab.nwid}'
    until('a member told what it carried', lambda: any(n is not None for n in api.get(f'{network}/traffic')['rx_bytes']), 45)
    until('and its rate is known', lambda: api.get(f'{network}/members/{a}')['traffic'], 15)
    for text, step, slots in (('1h', 60, 60), ('24h', 600, 144), ('30d', 7200, 360)):
        for path in (f'{network}/traffic', f'{network}/members/{a}/traffic'):
            value = api.get(f'{path}?range={text}')
            columns = [value[k] for k in ('rx_bytes', 'tx_bytes', 'rx_frames', 'tx_frames', 'rtt_us', 'drops')] + [r['slots'] for r in value['drop_reasons']]
            api.check((value['range'], value['step'], value['slots']) == (text, step, slots), f'{text}: {value["range"]}')
            api.check(all(len(c) == slots for c in columns) and value['start'] % step == 0, f'{path}: {[len(c) for c in columns]}')
            api.check(value['start'] + step * slots - step <= time.time() + 1 < value['start'] + step * slots + 2, f'{text}: the last slot is that of now')
            for key in ('rx_bytes', 'tx_bytes', 'rx_frames', 'tx_frames', 'drops'):
                api.check(sum(n or 0 for n in value[key]) == value['totals'][key], f'{path}: {key} add up')
    api.check(api.get(f'{network}/traffic')['range'] == '1h', 'an hour, unless told')
    for path in (f'{network}/traffic', f'{network}/members/{a}/traffic'):
        api.pointers(api.ask('GET', f'{path}?range=1y', status=400), '?range')
    api.ask('GET', f'/v1/networks/{api.lab.nwid[:-6]}ffffff/traffic', status=404)
    api.ask('GET', f'{network}/members/0123456789/traffic', status=404)


def readiness(api):
    api.lab.root.stop()
    until('not ready without a root', lambda: api.socket.ask('GET', '/readyz').status == 503, 60)
    api.ask('GET', '/readyz', status=503, by=api.strangers['http'])
    api.ask('GET', '/healthz')


def factors(api):
    second.run(api)


def programs(api):
    zt1_clients.run(api.lab)
    zt1.run(api.lab)


def complete(api):
    for method, path in api.contract.missing() or [(None, None)]:
        api.check(method is None, f'{method} {path} never succeeded in a test')
    failed = {(m, p) for m, p, s in api.contract.seen if s >= 400}
    for method, path in sorted(api.contract.operations - failed - {('GET', '/healthz'), ('GET', '/v1/openapi.json')}):
        api.check(False, f'{method} {path} was never refused in a test')


def case(api, name, *more):
    began = time.monotonic()
    before = len(api.lab.failures)
    result = None
    try:
        result = globals()[name](api, *more)
    except Exception as error:  # the others must run all the same
        api.lab.fail(f'{name}: {type(error).__name__}: {error}')
    print(f'{name:14} {"ok" if len(api.lab.failures) == before else "FAILED"} ({time.monotonic() - began:.1f} s)', flush=True)
    return result


def main():
    lab = Lab('api')
    try:
        lab.start_root()
        hooks.prepare(lab)
        second.prepare(lab)
        zt1_lab.prepare(lab, 'CAB')
        lab.start_controller('--https', '127.0.0.1:8443')
        for name in 'AB':
            lab.start_node(name)
        lab.controller.online()
        for name in 'AB':
            lab.nodes[name].online()
        api = Api(lab)
        for name in ('table', 'health', 'status', 'wrong_paths', 'networks', 'members', 'preapprovals', 'invites', 'accounts', 'factors'):
            case(api, name)
        readers = case(api, 'tokens')
        for name in ('limits', 'audit', 'webhooks', 'backup'):
            case(api, name)
        case(api, 'events', readers)
        for name in ('programs', 'traffic', 'metrics', 'readiness', 'complete'):
            case(api, name)
    except Failure as error:
        lab.fail(str(error))
    finally:
        if lab.failures:
            lab.show_logs()
        lab.close()
    for note in lab.notes:
        print(f'    {note}')
    for failure in lab.failures:
        print(f'FAILED: {failure}')
    print(f'{lab.passed} passed, {len(lab.failures)} failed')
    return 1 if lab.failures else 0


if __name__ == '__main__':
    sys.exit(main())
