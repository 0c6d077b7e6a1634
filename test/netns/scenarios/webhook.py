"""A receiver of webhooks that fails, hangs and lies, in a namespace of its own at an address that looks public. What is told arrives
with the same id and a right signature, in the order of its network, also over a kill -9; nothing is sent where it must not; and while
sixteen receivers hang and twenty queues are full the controller neither grows nor slows down.
"""
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys

import lab as labs
from lab import TREE, now, until

sys.path.insert(0, os.path.join(TREE, 'test/api'))
import client  # noqa: E402

RECEIVER, OURS = '203.0.113.7', '203.0.113.1'
HURRY = 20  # connect 250 ms, whole 750 ms; retries 50, 250, 1500, 6000 ms ...
WAITING = 1000


class Hooks:
    def __init__(self, lab):
        self.lab, self.secrets = lab, {}
        self.open()

    def open(self):
        self.socket = client.by_socket(os.path.join(self.lab.controller.home, 'farlan-controller.sock'))

    def ask(self, method, path, body=None, status=200):
        answer = self.socket.ask(method, path, body)
        if answer.status != status:
            raise labs.Failure(f'{method} {path}: {answer.status}, not {status}: {answer.body[:300]}')
        return answer.json()

    def add(self, name, url, *events, private=False):
        made = self.ask('POST', '/v1/webhooks', {'name': name, 'url': url, 'events': list(events), **({'allow_private': True} if private else {})}, 201)
        self.secrets[made['id']] = made['secret']
        return made['id']

    def get(self, hook):
        return self.ask('GET', f'/v1/webhooks/{hook}')

    def log(self, hook, query=''):
        return self.ask('GET', f'/v1/webhooks/{hook}/deliveries?limit=1000{query}')['deliveries']

    def clear(self):
        for hook in self.ask('GET', '/v1/webhooks')['webhooks']:
            self.ask('DELETE', f'/v1/webhooks/{hook["id"]}')

    def got(self, path=None):
        with open(os.path.join(self.lab.folder, 'got'), encoding='utf-8') as file:
            rows = [json.loads(line) for line in file if line.endswith('\n')]
        return [row for row in rows if path in (None, row['path'])]

    def signed(self, row):
        fields = dict(part.split('=', 1) for part in row['headers']['Farlan-Signature'].split(','))
        secret = self.secrets[row['headers']['Farlan-Webhook']].encode()
        return hmac.compare_digest(fields['v1'], hmac.new(secret, f'{fields["t"]}.{row["body"]}'.encode(), hashlib.sha256).hexdigest())


def certificate(folder, name):
    key = os.path.join(folder, f'{name}.key')
    cert = os.path.join(folder, f'{name}.crt')
    labs.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
        '-subj', f'/CN={name}', '-addext', f'subjectAltName=IP:{RECEIVER}')
    with open(os.path.join(folder, f'{name}.pem'), 'w', encoding='ascii') as pem:
        for part in (key, cert):
            with open(part, encoding='ascii') as file:
                pem.write(file.read())
    return cert


def started(lab):
    """The receiver, the names that lead to it or elsewhere, and the controller that knows no other authority."""
    witness = lab.host('C')
    receiver = lab.host('W')
    labs.run('ip', '-n', receiver.ns, 'addr', 'add', f'{RECEIVER}/24', 'dev', 'u')
    labs.run('ip', '-n', witness.ns, 'addr', 'add', f'{OURS}/24', 'dev', 'u')
    good = certificate(lab.folder, 'good')
    certificate(lab.folder, 'odd')
    process = receiver.popen(sys.executable, os.path.join(TREE, 'test/netns/webhook_receiver.py'), lab.folder, stdout=subprocess.PIPE)
    if process.stdout.readline() != b'ready\n':
        raise labs.Failure('the receiver does not start')
    # whatever reaches this machine's own address was sent there by the controller
    inside = witness.popen(sys.executable, '-c', 'import socket\ns = socket.create_server(("", 9000), family=socket.AF_INET6, dualstack_ipv6=True)\nprint("ready", flush=True)\nwhile True:\n print(s.accept()[1], flush=True)',
                           stdout=subprocess.PIPE)
    if inside.stdout.readline() != b'ready\n':
        raise labs.Failure('nothing listens inside')
    names = os.path.join('/etc/netns', witness.ns)
    os.makedirs(names)
    with open(os.path.join(names, 'hosts'), 'w', encoding='ascii') as file:
        file.write(f'127.0.0.1 localhost rebound.test\n{RECEIVER} receiver.test\n10.1.2.3 inside.test\n10.1.2.3 mixed.test\n{RECEIVER} mixed.test\n127.0.0.1 loop.test\n::1 loop.test\n')
    with open(os.path.join(names, 'resolv.conf'), 'w', encoding='ascii') as file:
        file.write('nameserver 203.0.113.99\noptions timeout:5 attempts:1\n')  # nobody: a name that is asked for hangs
    home = os.path.join(lab.folder, 'C')
    os.makedirs(home, 0o700)
    with open(os.path.join(home, 'farlan-controller.conf'), 'w', encoding='ascii') as file:
        file.write(f'webhook-private = yes\nwebhook-ca = {good}\n')
    lab.start_root()
    controller = labs.Daemon(lab, witness, 'farlan-controller', ['--add-root', lab.root_line, '--http', 'none'])
    controller.env = {'FARLAN_TEST_WEBHOOK_HURRY': str(HURRY), 'http_proxy': 'http://203.0.113.99:3128', 'https_proxy': 'http://203.0.113.99:3128',
                      'all_proxy': 'http://203.0.113.99:3128'}
    lab.controller = controller.start()
    return Hooks(lab), inside


def liars(lab, hooks):
    at, event = f'http://{RECEIVER}:8080', 'network.create'
    # name: url, what its only delivery comes to, at how many attempts at least, a word of the error
    cases = {
        'fine': (f'{at}/fine', 'delivered', 1, None), 'named': ('http://receiver.test:8080/fine', 'delivered', 1, None),
        'flaky': (f'{at}/flaky', 'delivered', 3, None), 'lie': (f'{at}/lie', 'delivered', 1, None), 'endless body': (f'{at}/endless-body', 'delivered', 1, None),
        'tls': (f'https://{RECEIVER}:8443/fine', 'delivered', 1, None), 'odd tls': (f'https://{RECEIVER}:8444/fine', 'waiting', 2, ''),
        'hang': (f'{at}/hang', 'waiting', 2, 'timed out'), 'drip': (f'{at}/drip', 'waiting', 2, 'timed out'), 'endless head': (f'{at}/endless-head', 'waiting', 2, 'head'),
        'long line': (f'{at}/long-line', 'waiting', 2, ''), 'continue': (f'{at}/continue', 'waiting', 2, ''), 'close': (f'{at}/close', 'waiting', 2, ''),
        'short': (f'{at}/short', 'waiting', 2, ''), 'garbage': (f'{at}/garbage', 'waiting', 2, ''), 'redirect': (f'{at}/redirect', 'waiting', 2, 'elsewhere'),
        'rebound': ('http://rebound.test:9000/', 'waiting', 2, 'public'), 'inside': ('http://inside.test:9000/', 'waiting', 2, 'public'),
        'mixed': ('http://mixed.test:8080/mixed', 'delivered', 1, None), 'mixed inside': ('http://loop.test:9000/', 'waiting', 2, 'public')}
    ids = {name: hooks.add(name, case[0], event) for name, case in cases.items()}
    hooks.ask('POST', '/v1/networks', {'name': 'first'}, 201)

    def settled(name):
        row = hooks.log(ids[name])[0]
        return row['state'] == cases[name][1] and row['attempts'] >= cases[name][2]
    try:
        until('each receiver shows what it is', lambda: all(settled(name) for name in cases), 15)
    except labs.Failure as failure:
        lab.fail(f'{failure}: {[(name, hooks.log(ids[name])[0]) for name in cases if not settled(name)]}')
    for name, (_, state, _, word) in cases.items():
        row = hooks.log(ids[name])[0]
        lab.check(word is None or (row['error'] is not None and word in row['error']), f'{name}: {row["error"]}')
        lab.check(hooks.get(ids[name])['state'] == ('ok' if state == 'delivered' else 'failing'), f'{name}: {hooks.get(ids[name])["state"]}')
    rows = [row for row in hooks.got() if row['headers']['Farlan-Webhook'] in ids.values()]
    wrong = [row for row in rows if not hooks.signed(row)]
    lab.check(rows and not wrong, f'{len(wrong)} of {len(rows)} are signed wrongly: {wrong[:1]}')
    flaky = hooks.got('/flaky')
    lab.check(len(flaky) == 3 and len({row['headers']['Farlan-Delivery'] for row in flaky}) == 1 and len({row['body'] for row in flaky}) == 1, f'the same delivery each time: {flaky}')
    # the overlay's own range, public as it may look; and what may reach private addresses, may
    for name in cases:
        hooks.ask('DELETE', f'/v1/webhooks/{ids[name]}')
    hooks.ask('POST', '/v1/networks', {'name': 'odd', 'ipv4': '203.0.113.0/24'}, 201)
    before = len(hooks.got('/pool'))
    pool = hooks.add('pool', f'{at}/pool', 'webhook.create')
    inside = hooks.add('inside', f'http://{lab.host("W").address}:8080/inside', 'webhook.create', private=True)
    until('who may is told', lambda: hooks.get(inside)['last'], 5)
    until('who may not is not', lambda: hooks.get(pool)['last'], 5)
    lab.check(hooks.get(inside)['state'] == 'ok' and 'public' in hooks.get(pool)['last']['error'], f'{hooks.get(inside)} {hooks.get(pool)}')
    lab.equal(len(hooks.got('/pool')), before, 'requests into the pool')
    odd = next(n['id'] for n in hooks.ask('GET', '/v1/networks')['networks'] if n['name'] == 'odd')
    hooks.ask('DELETE', f'/v1/networks/{odd}')
    hooks.clear()


def spelt(lab, hooks):
    """This machine by every spelling that a resolver, a library of URLs or a translator understands."""
    hosts = ('0x7f.1', '127.0.0.1', '017700000001', '2130706433', '127.1', '0', '0.0.0.0', OURS, 'localhost', '%6c%6fcalhost', '[::]', '[::1]', '[::ffff:127.0.0.1]',
             '[::127.0.0.1]', '[::ffff:0:7f00:1]', '[64:ff9b::7f00:1]', '[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[fe80::1%25lo]', f'[::ffff:{lab.controller.host.address}]')
    ids = {host: hooks.add(host, f'http://{host}:9000/', 'network.create') for host in hosts}
    network = hooks.ask('POST', '/v1/networks', {'name': 'spelt'}, 201)['id']
    until('each was tried twice', lambda: all(hooks.log(hook)[0]['attempts'] >= 2 for hook in ids.values()), 15)
    rows = {host: hooks.log(hook)[0] for host, hook in ids.items()}
    odd = {host: row['error'] for host, row in rows.items() if row['state'] != 'waiting' or row['status'] or 'public' not in row['error']}
    lab.check(not odd, f'refused for another reason than where they lead: {odd}')
    hooks.ask('DELETE', f'/v1/networks/{network}')
    hooks.clear()


def ordered(lab, hooks):
    """Five networks, edited in turn; some fail first; the controller is killed in the middle of it."""
    networks = [hooks.ask('POST', '/v1/networks', {'name': f'net{i}'}, 201)['id'] for i in range(5)]
    hook = hooks.add('ordered', f'http://{RECEIVER}:8080/odds', 'network.set')
    told = {network: [] for network in networks}
    for i in range(100):
        hooks.ask('PATCH', f'/v1/networks/{networks[i % 5]}', {'description': f'step {i}'})
        told[networks[i % 5]].append(f'step {i}')
        if i == 60:
            lab.controller.kill()
            waited = len(hooks.got('/odds'))
            lab.controller.start()
            hooks.open()
    until('all of it is told', lambda: hooks.get(hook)['queue'] == 0, 20)
    rows = hooks.got('/odds')
    lab.check(all(hooks.signed(row) for row in rows), 'each is signed')
    for network in networks:
        first = []
        for row in rows:
            body = json.loads(row['body'])
            if body['network']['id'] == network and body['detail']['description']['now'] not in first:
                first.append(body['detail']['description']['now'])
        lab.equal(first, told[network], f'what {network} was told of')
    again = len(rows) - len({row['headers']['Farlan-Delivery'] for row in rows})
    lab.check(again > 0, 'some failed first')
    lab.equal(len({row['headers']['Farlan-Delivery'] for row in rows}), 100, 'deliveries')
    lab.note(f'100 events over a kill -9 with {waited} sent before it: {len(rows)} requests')
    hooks.clear()


def status_times(hooks, n):
    times = []
    for _ in range(n):
        began = now()
        hooks.ask('GET', '/v1/status')
        times.append(now() - began)
    times.sort()
    return times[n // 2] * 1000, times[n * 99 // 100] * 1000


def hanging(hooks):
    return next(int(line.split()[1]) for line in hooks.socket.ask('GET', '/metrics').body.decode().splitlines() if line.startswith('farlan_webhook_sending '))


def crowded(lab, hooks):
    """At the pace of everyday: what hangs does so for 15 s."""
    lab.controller.stop()
    del lab.controller.env['FARLAN_TEST_WEBHOOK_HURRY']
    lab.controller.start()
    hooks.open()
    network = hooks.ask('GET', '/v1/networks')['networks'][0]['id']
    idle = status_times(hooks, 300)
    quiet = lab.controller.rss_kib()
    # two of them hang in the resolver, where nobody can be interrupted
    urls = ['http://nobody.test/'] * 2 + [f'http://{RECEIVER}:8080/hang'] * 18
    ids = [hooks.add(f'hang{i:02}', url, 'network.set') for i, url in enumerate(urls)]
    over, began = 5, now()
    for i in range(WAITING + over):
        hooks.ask('PATCH', f'/v1/networks/{network}', {'description': f'number {i}'})
        if i == 0:
            until('sixteen hang', lambda: hanging(hooks) == 16, 5)
            busy = status_times(hooks, 600)
            lab.equal(hanging(hooks), 16, 'hanging at once')
    filled = now() - began
    full, last = lab.controller.rss_kib(), status_times(hooks, 300)
    rows = [hooks.get(hook) for hook in ids]
    lab.check(all(row['queue'] == WAITING for row in rows), f'queues: {[row["queue"] for row in rows]}')
    lab.check(all(row['dropped'] == over for row in rows), f'dropped: {[row["dropped"] for row in rows]}')
    metrics = hooks.socket.ask('GET', '/metrics').body.decode()
    lab.check(f'farlan_webhook_waiting {20 * WAITING}\n' in metrics and f'farlan_webhook_deliveries_total{{result="dropped"}} {20 * over}\n' in metrics, 'metrics count them')
    lab.note(f'20 x {WAITING} waiting: RSS {quiet} -> {full} KiB (+{full - quiet}); filled in {filled:.1f} s')
    lab.note('/v1/status p50/p99 in ms: ' + ', '.join(f'{what} {p50:.2f}/{p99:.2f}' for what, (p50, p99) in (('idle', idle), ('16 hang', busy), ('and 20 000 wait', last))))
    if not lab.sanitized:
        lab.check(full - quiet < 16384, f'20 000 waiting deliveries cost {full - quiet} KiB')
    for what, (_, p99) in (('16 hang', busy), ('20 000 wait', last)):
        lab.check(p99 < 50 * lab.slow + 4 * idle[1], f'/v1/status p99 {p99:.1f} ms while {what}, {idle[1]:.1f} ms idle')


def by_hand(lab, hooks):
    """The verbs, as somebody types them."""
    cli = lab.controller.cli
    made = cli('webhook', 'add', 'chat', f'http://{RECEIVER}:8080/chat', '--event', 'invite.*', '--event', 'user.*')
    secret = made.stdout.strip()
    lab.check(len(secret) == 64 and 'webhook test' in made.stderr, f'the secret alone on standard output: {made.stdout}{made.stderr}')
    hook = lab.controller.json('webhook', 'show', 'chat')
    hooks.secrets[hook['id']] = secret
    lab.equal(hook['events'], ['invite.*', 'user.*'], 'its events')
    lab.check(secret not in json.dumps(hook) and 'chat' in cli('webhook', 'list').stdout, 'it is in the list')
    delivery = lab.controller.json('webhook', 'test', 'chat')['id']
    until('the test is delivered', lambda: 'delivered' in cli('webhook', 'log', 'chat', '--state', 'delivered').stdout, 5)
    cli('webhook', 'retry', 'chat', delivery)
    until('and once more', lambda: len(hooks.got('/chat')) == 2, 5)
    lab.check(all(hooks.signed(row) for row in hooks.got('/chat')), 'signed with what was printed')
    hooks.secrets[hook['id']] = cli('webhook', 'secret', hook['id']).stdout.strip()
    cli('webhook', 'set', 'chat', '--name', 'talk', '--event', 'all', '--to', f'http://{RECEIVER}:8080/talk', '--enabled', 'off')
    hook = lab.controller.json('webhook', 'show', 'talk')
    lab.check(hook['events'] == ['*'] and hook['state'] == 'off' and hook['url'].endswith('/talk'), f'{hook}')
    cli('webhook', 'test', 'talk', code=8)
    cli('webhook', 'set', 'talk', '--enabled', 'on')
    cli('webhook', 'test', 'talk')
    until('at its new place, signed anew', lambda: any(row['headers']['Farlan-Event'] == 'webhook.test' and hooks.signed(row) for row in hooks.got('/talk')), 5)
    cli('webhook', 'add', 'talk', 'https://example.net/', '--event', 'all', code=8)
    cli('webhook', 'add', 'odd', 'https://example.net/', code=2)
    cli('webhook', 'delete', 'talk')
    cli('webhook', 'show', 'talk', code=5)


def run_all(lab):
    hooks, inside = started(lab)
    by_hand(lab, hooks)
    liars(lab, hooks)
    spelt(lab, hooks)
    ordered(lab, hooks)
    crowded(lab, hooks)
    os.set_blocking(inside.stdout.fileno(), False)
    lab.check(not inside.stdout.read(), 'nobody came to the address of the machine itself')


def run(lab):
    try:
        run_all(lab)
    finally:
        shutil.rmtree(os.path.join('/etc/netns', f'{lab.prefix}-C'), ignore_errors=True)
