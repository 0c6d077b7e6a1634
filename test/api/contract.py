"""contract.py: what ui/openapi/controller-v1.json promises, held against every answer the controller gives.

An answer must have a documented status, the headers and the content type that stand there, and a body of that schema; a field
that is not documented is a failure, too: in our own answers "only ever added" begins with writing it down. The table of routes
in ui/controller_api.c and the document must name the same paths, queries and scopes.
"""
import copy
import json
import os
import re

import jsonschema

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
METHODS = {'get', 'post', 'patch', 'delete'}
SCOPES = {'SCOPE_OPEN': 'open', 'SCOPE_SELF': 'self', 'SCOPE_READ': 'read', 'SCOPE_APPROVE': 'approve', 'SCOPE_WRITE': 'write',
          'SCOPE_ADMIN': 'admin', 'SCOPE_LOCAL': 'local'}


def close(schema):
    """Objects have no other fields than those they name."""
    if isinstance(schema, dict):
        if schema.get('type') == 'object' and 'properties' in schema:
            schema.setdefault('additionalProperties', False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


class Contract:
    def __init__(self, document):
        self.document = document
        self.closed = copy.deepcopy(document)
        close(self.closed['components']['schemas'])
        self.resolver = jsonschema.RefResolver('', self.closed)
        self.paths = [(path, re.compile(re.sub(r'\{\w+\}', '[^/]+', path) + '$')) for path in document['paths']]
        self.operations = {(method.upper(), path) for path, item in document['paths'].items() for method in item if method in METHODS}
        self.seen = set()  # (METHOD, path, status)

    def path_of(self, path):
        """The documented path that this one is: the one with the fewest names to fill in."""
        fits = [name for name, pattern in self.paths if pattern.match(path)]
        return min(fits, key=lambda name: name.count('{')) if fits else None

    def resolve(self, part):
        while '$ref' in part:
            part = self.resolver.resolve(part['$ref'])[1]
        return part

    def operation(self, method, path):
        return self.closed['paths'].get(path, {}).get(method.lower())

    def errors(self, method, path, status, headers, body):
        """What is wrong with that answer, as sentences."""
        name = self.path_of(path)
        operation = self.operation(method, name) if name else None
        if operation:
            self.seen.add((method, name, status))
            response = self.resolve(operation['responses'].get(str(status)) or operation['responses']['default'])
            if str(status) not in operation['responses'] and status < 400:
                return [f'{status} is not documented']
        else:  # no such path or method: a problem all the same
            response = self.closed['components']['responses']['Problem']
            if status not in (404, 405):
                return [f'{status} by a path that is not documented']
        wrong = []
        for header, what in response.get('headers', {}).items():
            what = self.resolve(what)
            if header not in headers:
                if what.get('required'):
                    wrong.append(f'no header {header}')
                continue
            wrong += self.judged(headers[header], what['schema'], f'header {header}')
        content = response.get('content')
        if not content:
            return wrong + (['a body where none is'] if body else [])
        kind = headers.get('Content-Type', '').split(';')[0]
        if kind not in content:
            return wrong + [f'content type {kind!r}, not one of {sorted(content)}']
        if kind.endswith('json') and not kind.endswith('ndjson'):
            try:
                value = json.loads(body)
            except ValueError as error:
                return wrong + [f'not JSON: {error}']
            wrong += self.judged(value, content[kind]['schema'], 'body')
            if status >= 400 and isinstance(value, dict) and value.get('status') != status:
                wrong.append('the problem names another status')
        return wrong

    def judged(self, value, schema, what):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        return [f'{what}{"".join(f"/{step}" for step in error.absolute_path)}: {error.message[:300]}' for error in validator.iter_errors(value)]

    def body_errors(self, method, path, body):
        """Does the document allow that request body?"""
        operation = self.operation(method, self.path_of(path) or '')
        content = (operation or {}).get('requestBody', {}).get('content', {}).get('application/json')
        return self.judged(body, content['schema'], 'request') if content else ['no body is documented']

    def missing(self):
        """Operations that no test saw succeed."""
        done = {(method, path) for method, path, status in self.seen if status < 300}
        return sorted(self.operations - done)

    # ---- the table of routes

    def table_errors(self, source):
        with open(os.path.join(TREE, source)) as file:
            rows = re.findall(r'\{METHOD_(\w+), "([^"?]+)(?:\?([^"]*))?", \w+, (SCOPE_\w+)\}', file.read())
        wrong, known = [], set()
        for method, pattern, query, scope in rows:
            path = next((p for p in self.document['paths'] if re.sub(r'\{\w+\}', '*', p) == pattern), None)
            operation = self.document['paths'].get(path, {}).get(method.lower()) if path else None
            if not operation:
                wrong.append(f'{method} {pattern} is not documented')
                continue
            known.add((method, path))
            names = {p['name'] for p in operation.get('parameters', []) if p.get('in') == 'query'}
            if names != set(filter(None, query.split('&'))):
                wrong.append(f'{method} {path}: queries {sorted(names)} are documented, not {query!r}')
            if operation.get('x-farlan-scope') != SCOPES[scope]:
                wrong.append(f'{method} {path}: scope {operation.get("x-farlan-scope")} is documented, not {scope}')
        if len(rows) < 10:
            wrong.append(f'only {len(rows)} routes found in {source}')
        return wrong + [f'{method} {path} is documented, but there is no such route' for method, path in sorted(self.operations - known)]
