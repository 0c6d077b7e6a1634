"""webhooks.py: the routes of webhooks, with a receiver on the controller's own host: what it is sent fits its signature."""
import hashlib
import hmac
import http.server
import json
import os
import threading
import time

from lab import until

import client


class Receiver(http.server.BaseHTTPRequestHandler):
    got, status = [], 204

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        Receiver.got.append((dict(self.headers), body))
        self.send_response(Receiver.status)
        self.end_headers()

    def log_message(self, *_args):
        pass


def prepare(lab):
    """Before the controller starts: receivers of a test are on its own machine."""
    home = os.path.join(lab.folder, 'C')
    os.makedirs(home, 0o700, exist_ok=True)
    with open(os.path.join(home, 'farlan-controller.conf'), 'a', encoding='ascii') as file:
        file.write('webhook-private = yes\n')


def verify(secret, headers, body, window=300):
    """As a receiver does it: the signature is of the time and the body, and the time is ours."""
    fields = dict(field.split('=', 1) for field in headers['Farlan-Signature'].split(','))
    wanted = hmac.new(secret.encode(), fields['t'].encode() + b'.' + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, fields['v1']) and abs(time.time() - int(fields['t'])) <= window


def served(namespace):
    """A receiver in that namespace: the socket is made there, whoever waits on it may be anywhere."""
    made = []

    def there():
        client.setns(f'/run/netns/{namespace}')
        made.append(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Receiver))
    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    threading.Thread(target=made[0].serve_forever, daemon=True).start()
    return made[0]


def webhooks(api):
    """Made, changed, tested, sent, failed, sent again, deleted. The controller of this test lets webhooks reach private addresses."""
    server = served(api.ns)
    url = f'http://127.0.0.1:{server.server_address[1]}/in'
    made = api.ask('POST', '/v1/webhooks', {'name': 'chat', 'url': url, 'events': ['network.*', 'webhook.*'], 'allow_private': True}, status=201)
    secret, path = made.value['secret'], f'/v1/webhooks/{made.value["id"]}'
    api.check(len(secret) == 64 and made.value['state'] == 'ok' and made.value['enabled'] is True, f'{made.value}')
    listed = api.ask('GET', '/v1/webhooks')
    one = api.ask('GET', path)
    api.check(listed.value['total'] == 1 and secret.encode() not in listed.body + one.body, 'the secret is in one answer only')
    api.ask('GET', path, status=304, headers={'If-None-Match': one.headers['ETag']})
    until('it is told that it was made', lambda: len(Receiver.got) == 1, 10)
    headers, body = Receiver.got[0]
    told = json.loads(body)
    api.check(verify(secret, headers, body), f'the signature fits: {headers}')
    api.check(not verify(secret + 'x', headers, body) and not verify(secret, headers, body + b' '), 'and nothing else does')
    api.check(headers['Farlan-Event'] == told['event'] == 'webhook.create' and headers['Farlan-Delivery'] == told['id'], f'{headers} {told}')
    api.check(headers['Farlan-Webhook'] == made.value['id'] and headers['Content-Type'] == 'application/json', f'{headers}')
    api.check(told['actor']['name'].startswith('socket:') and secret not in body.decode(), f'{told}')
    test = api.ask('POST', f'{path}/test', {}, status=202).value
    api.check(test['event'] == 'webhook.test' and test['state'] == 'waiting', f'{test}')
    until('the test is delivered', lambda: api.get(f'{path}/deliveries?state=delivered')['total'] == 2, 10)
    done = api.get(f'{path}/deliveries?limit=1')
    api.check(done['deliveries'][0]['id'] == test['id'] and done['deliveries'][0]['status'] == 204 and done['next'], f'{done}')
    api.check(json.loads(done['deliveries'][0]['body']) == json.loads(Receiver.got[-1][1]), 'the log has what was sent')
    older = api.ask('GET', f'{path}/deliveries?limit=1&cursor={done["next"]}').value
    api.check(older['deliveries'][0]['event'] == 'webhook.create' and older['next'] is None and older['total'] == 2, f'{older}')
    # another secret, and the old one is worth nothing
    fresh = api.ask('POST', f'{path}/secret', {}).value['secret']
    until('the new secret is told of', lambda: len(Receiver.got) == 3, 10)
    api.check(verify(fresh, *Receiver.got[2]) and not verify(secret, *Receiver.got[2]), 'signed with the new one')
    # gone: suspended, and by hand alive again
    Receiver.status = 410
    test = api.ask('POST', f'{path}/test', {}, status=202).value
    until('it is suspended', lambda: api.get(path)['state'] == 'suspended', 10)
    api.check(api.get(path)['last']['status'] == 410, f'{api.get(path)}')
    api.check(api.get('/v1/status')['webhooks'] == {'ok': 0, 'failing': 0, 'off': 0, 'suspended': 1}, 'status tells of it')
    api.ask('POST', f'{path}/test', {}, status=409)
    Receiver.status = 200
    stale = api.ask('GET', path).headers['ETag']
    api.ask('PATCH', path, {'enabled': True, 'events': ['network.*'], 'networks': [api.lab.nwid]}, headers={'If-Match': stale})
    api.ask('PATCH', path, {'name': 'x'}, status=412, headers={'If-Match': stale})
    api.ask('POST', f'{path}/deliveries/{test["id"]}/retry', {}, status=202)
    until('it is delivered', lambda: any(d['id'] == test['id'] for d in api.get(f'{path}/deliveries?state=delivered')['deliveries']), 10)
    again = [got for got in Receiver.got if got[0]['Farlan-Delivery'] == test['id']]
    api.check(len(again) > 1 and all(verify(fresh, *got) for got in again), 'the same delivery, once more')
    api.ask('PATCH', f'/v1/networks/{api.lab.nwid}', {'description': 'told'})
    told = until('its network is told of', lambda: [json.loads(body) for headers, body in Receiver.got if headers['Farlan-Event'] == 'network.set'], 10)
    api.check(len(told) == 1 and told[0]['network'] == {'id': api.lab.nwid, 'name': 'home'}, f'{told}')
    # what is wrong
    good = {'name': 'y', 'url': 'https://example.net/', 'events': ['*']}
    for wrong, pointer in (({**good, 'events': []}, '/events'), ({**good, 'networks': ['x']}, '/networks'), ({'name': 'y'}, '/url'), ({**good, 'colour': 1}, '/colour'),
                           ({**good, 'secret': 'short'}, '/secret')):
        api.pointers(api.ask('POST', '/v1/webhooks', wrong, status=400, fits=False), pointer)
    for wrong in ({**good, 'url': 'http://anna:secret@example.net/'}, {**good, 'events': ['members.*']}):
        api.ask('POST', '/v1/webhooks', wrong, status=400)
    api.ask('POST', '/v1/webhooks', {**good, 'name': 'chat'}, status=409)
    api.ask('POST', f'{path}/secret', {'secret': 'x'}, status=400, fits=False)
    for query in ('limit=0', 'limit=1001', 'cursor=x', 'state=odd'):
        api.ask('GET', f'{path}/deliveries?{query}', status=400)
    api.ask('GET', '/v1/webhooks/00000000000000ff', status=404)
    api.ask('GET', '/v1/webhooks/xyz', status=400)
    api.ask('POST', f'{path}/deliveries/00000000000000ff/retry', {}, status=404)
    entries = api.ask('GET', '/v1/audit?action=webhook')
    api.check({e['action'] for e in entries.value['entries'] if e['detail']['name'] == 'chat'} == {'webhook.create', 'webhook.set', 'webhook.secret', 'webhook.suspend'}, f'{entries.value}')
    api.check(secret.encode() not in entries.body and fresh.encode() not in entries.body and b'/in' not in entries.body, 'no secret in the audit')
    api.ask('DELETE', path, status=412, headers={'If-Match': stale})
    api.ask('DELETE', path)
    api.ask('GET', path, status=404)
    server.shutdown()
