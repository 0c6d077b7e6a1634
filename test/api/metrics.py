"""metrics.py: what Prometheus asks of its text format 0.0.4, and promtool of names; strict, since only our own text is judged."""
import re

NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
SAMPLE = re.compile(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)$')
SUFFIXES = {'histogram': ('_bucket', '_sum', '_count'), 'summary': ('', '_sum', '_count')}


def lint(text):
    wrong, families, seen = [], {}, set()
    current = None
    if not text.endswith('\n'):
        wrong.append('the last line has no end')
    for line in text.splitlines():
        if line.startswith('# HELP '):
            name, _, help_text = line[7:].partition(' ')
            if name in families or not help_text:
                wrong.append(f'{name}: HELP twice, or empty')
            families[name] = {'type': None, 'samples': []}
            current = name
        elif line.startswith('# TYPE '):
            name, _, kind = line[7:].partition(' ')
            if name != current or families[name]['type'] or kind not in ('counter', 'gauge', 'histogram', 'summary'):
                wrong.append(f'{line}: not right behind its HELP, or of no kind')
            else:
                families[name]['type'] = kind
        else:
            match = SAMPLE.match(line)
            if not match:
                wrong.append(f'no sample: {line!r}')
                continue
            name, labels, value = match.groups()
            kind = families.get(current, {}).get('type')
            if name not in [(current or '') + suffix for suffix in SUFFIXES.get(kind, ('',))]:
                wrong.append(f'{line}: does not belong to {current}')
                continue
            if (name, labels) in seen:
                wrong.append(f'{line}: twice')
            seen.add((name, labels))
            families[current]['samples'].append((name, labels or '', float(value)))
    for name, family in families.items():
        kind, samples = family['type'], family['samples']
        if not samples or not kind:
            wrong.append(f'{name}: no sample, or no type')
        if (kind == 'counter') != name.endswith('_total'):
            wrong.append(f'{name}: counters and only they end in _total')
        if re.search('_(milliseconds|ms|minutes|kilobytes|kb|info_total)$', name) or (name.endswith('_info') and kind != 'gauge'):
            wrong.append(f'{name}: no base unit')
        if kind == 'histogram':
            buckets = [(float(re.search('le="([^"]*)"', labels).group(1)), value) for n, labels, value in samples if n.endswith('_bucket')]
            counts = [value for n, _, value in samples if n.endswith('_count')]
            if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets) or buckets[-1][0] != float('inf') or [buckets[-1][1]] != counts:
                wrong.append(f'{name}: buckets do not add up')
    return wrong
