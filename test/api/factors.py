"""factors.py: roles, second factors and a reverse proxy, as a browser and the unix socket meet them."""
import base64
import hmac
import ipaddress
import os
import re
import struct
import subprocess
import threading
import time

PASSWORD = 'correct horse battery'
ORIGIN = {'Origin': 'https://127.0.0.1:8443', 'Sec-Fetch-Site': 'same-origin'}


def code_of(secret, off=0):
    digest = hmac.digest(base64.b32decode(secret), struct.pack('>Q', int(time.time()) // 30 + off), 'sha1')
    at = digest[-1] & 15
    return f'{(struct.unpack(">I", digest[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}'


def settled():
    """Not so close to the end of a step that a code is another one by the time it arrives."""
    left = 30 - time.time() % 30
    if left < 4:
        time.sleep(left + 0.2)


def login(api, body, source, status=200):
    """A session's browser, or None; as from that source behind the proxy, so that tries do not add up."""
    head = {**ORIGIN, 'X-Forwarded-For': source}
    answer = api.strangers['https'].ask('POST', '/v1/session', body, head)
    if answer.status == 429 and int(answer.headers['Retry-After']) <= 4:  # many tries of one name in a row
        api.judge('POST', '/v1/session', answer, 429, 'too soon')
        time.sleep(int(answer.headers['Retry-After']))
        answer = api.strangers['https'].ask('POST', '/v1/session', body, head)
    api.judge('POST', '/v1/session', answer, status, f'from {source}')
    answer.value = answer.json()
    if answer.status != 200:
        return answer.value
    return api.tls({**ORIGIN, 'Cookie': answer.headers['Set-Cookie'].split(';')[0]})


def roles(api):
    api.ask('POST', '/v1/users', {'name': 'rita', 'password': PASSWORD, 'role': 'read'}, status=201)
    api.ask('POST', '/v1/users', {'name': 'rob', 'password': PASSWORD, 'role': 'root'}, status=400, fits=False)
    rita = login(api, {'user': 'rita', 'password': PASSWORD}, '192.0.2.11')
    shown = api.get('/v1/session', by=rita)
    api.check((shown['role'], shown['scopes']) == ('read', ['read']), f'a reader: {shown}')
    api.ask('GET', '/v1/networks', by=rita)
    api.ask('POST', '/v1/networks', {'name': 'hers'}, status=403, by=rita)
    api.ask('GET', '/v1/users', status=403, by=rita)
    api.ask('PATCH', '/v1/users/rita', {'role': 'admin'}, status=403, by=rita)
    stream = rita.stream('/v1/events')
    api.check(stream.status == 200 and b'hello' in stream.readline(), 'a reader listens')
    ended = threading.Event()
    threading.Thread(target=lambda: (all(iter(stream.readline, b'')), ended.set()), daemon=True).start()
    changed = api.ask('PATCH', '/v1/users/rita', {'role': 'approve'}).value
    api.check(changed['role'] == 'approve', 'the role is changed')
    api.check(ended.wait(10), 'a stream ends when its user has another role')
    api.check(api.get('/v1/session', by=rita)['scopes'] == ['read', 'members:approve'], 'the same session, by now')
    api.ask('PATCH', '/v1/users/anna', {'role': 'read'}, status=409)
    api.ask('DELETE', '/v1/users/anna', status=409)
    return rita


def factor(api, rita):
    path = '/v1/users/rita/second-factor'
    api.ask('POST', '/v1/users/anna/second-factor', {'password': PASSWORD}, status=403, by=rita)
    api.ask('POST', path, {'password': 'wrong horse battery'}, status=403, by=rita)
    made = api.ask('POST', path, {'password': PASSWORD}, by=rita).value
    secret = made['secret']
    api.check(secret in made['uri'] and made['qr_svg'].startswith('<svg'), 'a secret to scan')
    settled()
    api.ask('POST', path + '/confirm', {'code': '000000'}, status=403, by=rita)
    codes = api.ask('POST', path + '/confirm', {'code': code_of(secret, -1)}, by=rita).value['codes']
    api.ask('POST', path + '/confirm', {'code': code_of(secret, -1)}, status=409, by=rita)
    asked = login(api, {'user': 'rita', 'password': PASSWORD}, '192.0.2.12', 401)
    api.check(asked.get('reason') == 'second-factor', f'a code is asked for: {asked}')
    asked = login(api, {'user': 'rita', 'password': PASSWORD, 'code': code_of(secret, -1)}, '192.0.2.12', 401)
    api.check(asked.get('reason') == 'second-factor-wrong' and 'used' in asked['detail'], f'once: {asked}')
    asked = login(api, {'user': 'rita', 'password': PASSWORD + 'x', 'code': code_of(secret)}, '192.0.2.13', 401)
    api.check('reason' not in asked, 'strangers hear nothing of a second factor')
    settled()
    code = code_of(secret)
    api.check(login(api, {'user': 'rita', 'password': PASSWORD, 'code': code}, '192.0.2.12'), 'in by a code')
    login(api, {'user': 'rita', 'password': PASSWORD, 'code': code}, '192.0.2.12', 401)
    browser = login(api, {'user': 'rita', 'password': PASSWORD, 'code': codes[0].upper().replace('-', ' ')}, '192.0.2.12')
    api.check(api.get('/v1/session', by=browser)['recovery_left'] == 9, 'one of ten is used')
    login(api, {'user': 'rita', 'password': PASSWORD, 'code': codes[0]}, '192.0.2.12', 401)
    fresh = api.ask('POST', '/v1/users/rita/recovery-codes', {'password': PASSWORD, 'code': codes[1]}, by=browser).value['codes']
    api.check(not set(fresh) & set(codes), 'new codes')
    api.ask('DELETE', path, {'password': PASSWORD, 'code': codes[2]}, status=403, by=browser)
    api.check(api.ask('DELETE', path, {'password': PASSWORD, 'code': fresh[0]}, by=browser).value['second_factor'] is False, 'off')
    api.ask('DELETE', path, {}, status=409)
    api.ask('POST', '/v1/users/rita/recovery-codes', {}, status=409)
    for action in ('user.role', 'user.second-factor.on', 'user.second-factor.off', 'user.recovery.used', 'user.recovery.new', 'user.code.fail'):
        api.check(api.get(f'/v1/audit?action={action}&limit=1')['total'] >= 1, f'the audit has {action}')
    api.ask('DELETE', '/v1/users/rita')


def by_hand(api):
    """The same by the command line on the controller's machine: the owner's way in and back."""
    farlan = [os.path.join(os.environ['FARLAN_BIN'], 'farlan'), '--home', api.controller.home]
    word = os.path.join(api.controller.home, 'word')
    with open(word, 'w', encoding='ascii') as file:
        file.write(PASSWORD + '\n')
    api.controller.cli('user', 'add', 'olga', '--role', 'approve', '--password-file', word)
    api.controller.cli('user', 'role', 'olga', 'admin')
    api.controller.cli('user', 'role', 'olga', 'queen', code=2)
    api.controller.cli('user', 'role', 'nobody', 'read', code=5)
    settled()
    run = subprocess.Popen([*farlan, 'user', 'second-factor', 'olga'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    secret = run.stdout.readline().split()[-1]
    out = run.communicate(code_of(secret) + '\n', timeout=30)[0]
    codes = [line.strip() for line in out.splitlines() if line.startswith('    ')]
    api.check(run.returncode == 0 and len(codes) == 10, f'enrolled by hand: {run.returncode} {out}')
    api.check('olga' in api.controller.cli('user', 'list').stdout and login(api, {'user': 'olga', 'password': PASSWORD}, '192.0.2.21', 401)['reason'], 'it counts')
    fresh = api.controller.cli('user', 'recovery-codes', 'olga').stdout
    api.check(codes[0] not in fresh and fresh.count('    ') == 10, 'new codes by hand')
    api.controller.cli('user', 'second-factor', 'olga', '--off')
    api.controller.cli('user', 'second-factor', 'olga', '--off', code=8)
    api.check(login(api, {'user': 'olga', 'password': PASSWORD}, '192.0.2.22'), 'back in without it')
    api.controller.cli('user', 'delete', 'olga')


def rights_walk(api):
    """Every route there is, tried by everybody who may not do everything: nobody gets further than his role."""
    nwid = api.ask('POST', '/v1/networks', {'name': 'walked'}, status=201).value['id']
    hook = api.ask('POST', '/v1/webhooks', {'name': 'walked', 'url': 'https://example.net/path?of=his', 'events': ['*'], 'enabled': False}, status=201).value
    filled = {'network': nwid, 'member': '7f00000001', 'user': 'anna', 'webhook': hook['id']}
    admins = {'/v1/users', '/v1/tokens', '/v1/webhooks', '/v1/webhooks/{webhook}', '/v1/webhooks/{webhook}/deliveries'}
    routes = [(method, path) for path, methods in api.contract.document['paths'].items() for method in methods
              if method in ('get', 'post', 'patch', 'delete') and (method, path) not in (('get', '/v1/events'), ('delete', '/v1/session'))]
    read = {(method, path) for method, path in routes if method == 'get' and path not in admins} | {('post', '/v1/audit/verify'), ('post', '/v1/session')}
    member = '/v1/networks/{network}/members/{member}'
    approve = read | {('post', f'{member}/approve'), ('post', f'{member}/deny'), ('post', '/v1/networks/{network}/members:batch')}
    walkers = []
    for i, (role, may) in enumerate((('read', read), ('approve', approve))):
        api.ask('POST', '/v1/users', {'name': f'walker-{role}', 'password': PASSWORD, 'role': role}, status=201)
        walkers.append((f'user {role}', login(api, {'user': f'walker-{role}', 'password': PASSWORD}, f'192.0.2.3{i}'), may))
    bearers = {}
    for name, scopes, may in (('read', ['read'], read), ('approve', ['members:approve'], None), ('write', [f'network:{nwid}:write'], None)):
        made = api.ask('POST', '/v1/tokens', {'name': f'walker-{name}', 'scopes': scopes}, status=201).value
        bearers[made['id']] = api.tls({'Authorization': f'Bearer {made["token"]}'})
        walkers.append((f'token {name}', bearers[made['id']], may))
    tried, odd, shown = 0, [], []
    for who, by, may in walkers:
        for method, path in routes:
            if may is None and 'webhook' not in path and not path.startswith(('/v1/users', '/v1/tokens')):
                continue
            answer = by.ask(method.upper(), re.sub(r'{(\w+)}', lambda part: filled.get(part[1], '0' * 16), path), None if method == 'get' else {})
            tried += 1
            if (answer.status == 403) == ((method, path) in (may or ())) or answer.status == 429:
                odd.append((who, method, path, answer.status))
            if hook['secret'].encode() in answer.body or b'of=his' in answer.body:
                shown.append((who, method, path))
    api.check(tried > 150 and not odd, f'{tried} tried; not as their role is: {odd}')
    api.check(not shown, f'what only admins may see: {shown}')
    approver = walkers[1][1]
    for action in ('revoke', 'delete', 'tag', 'untag'):
        answer = approver.ask('POST', f'/v1/networks/{nwid}/members:batch', {'members': ['7f00000001'], 'action': action, **({'tags': ['x']} if 'tag' in action else {})})
        api.check(answer.status in (400, 403), f'who approves cannot {action} in a batch: {answer.status} {answer.body[:200]}')
    for name in ('read', 'approve'):
        api.ask('DELETE', f'/v1/users/walker-{name}')
    for token in bearers:
        api.ask('DELETE', f'/v1/tokens/{token}')
    api.ask('DELETE', f'/v1/webhooks/{hook["id"]}')
    api.ask('DELETE', f'/v1/networks/{nwid}')


def proxy(api):
    """This machine is a trusted proxy here: who it names is the source, in the audit as in what is counted."""
    once = api.ask('POST', '/v1/page-link', {}).value['url'].split('#once=')[1]
    head = {'Sec-Fetch-Site': 'same-origin', 'Origin': 'https://127.0.0.1:8080', 'X-Forwarded-Proto': 'https',
            'X-Forwarded-For': '198.51.100.1, 203.0.113.77, 127.0.0.1'}
    answer = api.ask('POST', '/v1/session', {'once': once}, by=api.strangers['http'], headers=head)
    cookie = answer.headers['Set-Cookie']
    api.check(cookie.startswith('__Host-') and 'Secure' in cookie, f'by TLS to the proxy: {cookie}')
    entry = api.get('/v1/audit?action=user.login&limit=1')['entries'][0]
    api.check(entry['from'] == '203.0.113.77', f'the source is whom the nearest untrusted one is: {entry}')
    browser = {'Cookie': cookie.split(';')[0], **head}
    api.ask('GET', '/v1/session', by=api.strangers['http'], headers=browser)
    del browser['X-Forwarded-Proto']
    api.ask('GET', '/v1/session', status=401, by=api.strangers['http'], headers=browser)  # without TLS it has another cookie
    for chain in (',' * 8192, 'unknown', '203.0.113.77:bad', '9' * 4000):
        answer = api.ask('POST', '/v1/session', {'once': '0' * 64}, status=401, by=api.strangers['http'],
                         headers={**head, 'X-Forwarded-For': chain, 'X-Forwarded-Proto': 'http', 'Origin': 'http://127.0.0.1:8080'})
    sources = {entry['from'] for entry in api.get('/v1/audit?action=user.login.fail&limit=100')['entries']}
    api.check('127.0.0.1' in sources and all(ipaddress.ip_address(source) for source in sources), f'garbage is nobody: {sources}')


def prepare(lab):
    """Before the controller starts: connections from its own machine come by a proxy."""
    home = os.path.join(lab.folder, 'C')
    os.makedirs(home, 0o700, exist_ok=True)
    with open(os.path.join(home, 'farlan-controller.conf'), 'a', encoding='ascii') as file:
        file.write('http-proxy = 127.0.0.1\n')


def run(api):
    rita = roles(api)
    factor(api, rita)
    by_hand(api)
    rights_walk(api)
    proxy(api)
