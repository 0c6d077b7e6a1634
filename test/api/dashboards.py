"""dashboards.py: what contrib/ gives to Prometheus and Grafana, judged without either server: dashboards are whole, each of their queries
is PromQL (by promtool, as a rule of its own), and every metric that they or the alerts name is on a page that a daemon really serves.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROMETHEUS = os.path.join(TREE, 'contrib/prometheus')
GRAFANA = os.path.join(TREE, 'contrib/grafana')
BOARDS = ('farlan-controller.json', 'farlan-node.json')
SOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
KINDS = {'row', 'stat', 'timeseries'}
OURS = re.compile(r'\b(?:farlan|process)_[a-z0-9_]+\b')


def overlap(a, b):
    return a['x'] < b['x'] + b['w'] and b['x'] < a['x'] + a['w'] and a['y'] < b['y'] + b['h'] and b['y'] < a['y'] + a['h']


def panel_errors(name, panel):
    wrong = []
    if panel.get('type') not in KINDS or not panel.get('title') or not isinstance(panel.get('id'), int):
        wrong.append(f'{name}: a panel of no kind, title or id: {panel.get("id")}')
    grid = panel.get('gridPos', {})
    if set(grid) != {'x', 'y', 'w', 'h'} or not (0 <= grid['x'] < grid['x'] + grid['w'] <= 24 and grid['h'] > 0 and grid['y'] >= 0):
        wrong.append(f'{name}: {panel["title"]} has no place: {grid}')
    if panel.get('type') == 'row':
        return wrong
    targets = panel.get('targets', [])
    if panel.get('datasource') != SOURCE or not targets or any(t.get('datasource') != SOURCE or not t.get('expr') for t in targets):
        wrong.append(f'{name}: {panel["title"]} asks nothing, or a data source of its own')
    if len({t.get('refId') for t in targets}) != len(targets):
        wrong.append(f'{name}: {panel["title"]}: a refId twice')
    if not panel.get('fieldConfig', {}).get('defaults', {}).get('unit'):
        wrong.append(f'{name}: {panel["title"]} has no unit')
    return wrong


def board_errors(name, board):
    wrong = [f'{name}: no {key}' for key in ('uid', 'title', 'schemaVersion', 'panels', 'templating', 'time') if not board.get(key)]
    if 'id' in board:
        wrong.append(f'{name}: an id of somebody\'s server')
    variables = {v['name']: v for v in board['templating']['list']}
    if variables.get('datasource', {}).get('type') != 'datasource':
        wrong.append(f'{name}: its data source cannot be chosen')
    panels = board['panels']
    for panel in panels:
        wrong += panel_errors(name, panel)
    if len({p['id'] for p in panels}) != len(panels):
        wrong.append(f'{name}: an id twice')
    for i, a in enumerate(panels):
        wrong += [f'{name}: {a["title"]} lies on {b["title"]}' for b in panels[:i] if overlap(a['gridPos'], b['gridPos'])]
    for used in set(re.findall(r'\$\{?([a-z]\w*)', json.dumps(panels))):
        if used not in variables:
            wrong.append(f'{name}: ${used} is no variable of it')
    return wrong


def queries(board):
    found = [t['expr'] for panel in board['panels'] for t in panel.get('targets', [])]
    found += [re.sub(r'label_values\((.*), \w+\)$', r'\1', v['definition']) for v in board['templating']['list'] if v['type'] == 'query']
    return [re.sub(r'\$(instance|network)', '.*', q.replace('$__rate_interval', '5m')) for q in found]


def promtool(*argv):
    done = subprocess.run(['promtool', *argv], capture_output=True, text=True, cwd=PROMETHEUS)
    return [] if done.returncode == 0 else [f'promtool {" ".join(argv)}: {done.stdout[-1500:]}{done.stderr[-1500:]}']


def query_errors(all_queries):
    rules = [{'record': f'farlan:query:{i}', 'expr': q} for i, q in enumerate(all_queries)]
    with tempfile.NamedTemporaryFile('w', suffix='.yml') as file:
        json.dump({'groups': [{'name': 'queries', 'rules': rules}]}, file)  # which is YAML, too
        file.flush()
        return promtool('check', 'rules', file.name)


def errors(pages=None):
    """pages: texts of /metrics; without them it is not asked whether the metrics exist. Returns sentences, and how many queries there were."""
    wrong, asked = [], []
    for name in BOARDS:
        with open(os.path.join(GRAFANA, name)) as file:
            board = json.load(file)
        wrong += board_errors(name, board)
        asked += queries(board)
    with open(os.path.join(PROMETHEUS, 'farlan.rules.yml')) as file:
        rules = file.read()
    tested = open(os.path.join(PROMETHEUS, 'farlan.rules.test.yml')).read()
    for alert in re.findall(r'alert: (\w+)', rules):
        if not re.search(rf'alertname: {alert}\n +exp_alerts:\n', tested) or f'alertname: {alert}, exp_alerts: []' not in tested:
            wrong.append(f'{alert} is not tried, both ways')
    if not shutil.which('promtool'):  # silence would say that all is well
        wrong.append('promtool is not installed: queries and alerts were not judged')
    else:
        wrong += query_errors(asked) + promtool('check', 'rules', 'farlan.rules.yml') + promtool('test', 'rules', 'farlan.rules.test.yml')
    if pages:
        there = set(re.findall(r'^([a-z_0-9]+)(?:\{| )', '\n'.join(pages), re.M))
        named = set(OURS.findall('\n'.join(asked) + '\n'.join(re.findall(r'expr: (.*(?:\n {10}.*)*)', rules))))
        wrong += [f'no daemon has {name}' for name in sorted(named - there)]
        if len(named) < 20:
            wrong.append(f'only {sorted(named)} are named: were they found?')
    return wrong, len(asked)


if __name__ == '__main__':
    found, n = errors()
    print('\n'.join(found) or f'{n} queries are well')
    raise SystemExit(bool(found))
