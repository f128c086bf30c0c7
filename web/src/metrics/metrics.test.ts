import { describe, expect, it } from 'vitest';
import { placeOf, readError, type Row } from './prom';
import { csvOfRange, csvOfValues, labelsOf, linesOf, mostLines, nameOf, unitOf } from './shape';
import { ends, readDuration, readExplorer, shifted, stepOf, stepProblem, wider, writeDuration, writeExplorer } from './state';

const read = (s: string) => readExplorer(new URLSearchParams(s));

describe('the explorer in the address', () => {
  it('comes back as it was written', () => {
    const s = 'q=up&q=rate%28orders_total%5B1m%5D%29&range=6h&step=30s&refresh=10s&view=values';
    expect(writeExplorer(read(s)).toString()).toBe(s);
    const fixed = 'q=up&from=2026-11-23T03%3A00%3A00.000Z&to=2026-11-23T04%3A00%3A00.500Z';
    expect(writeExplorer(read(fixed)).toString()).toBe(fixed);
  });
  it('says nothing of what is as at first', () => {
    expect(writeExplorer(read('')).toString()).toBe('');
    expect(writeExplorer(read('q=&range=1h&step=0s&view=graph')).toString()).toBe('');
  });
  it('leaves out what is wrong', () => {
    expect(writeExplorer(read('range=soon&step=-1s&refresh=7s&view=sky&from=2026-11-23&to=2026-11-22')).toString()).toBe('');
  });
  it('has a bound', () => expect(read('q=up&'.repeat(500)).queries).toHaveLength(12));
});

it.each([['90s', 90, '1m30s'], ['15m', 900, '15m'], ['1h30m', 5400, '1h30m'], ['2w', 1_209_600, '2w'], ['10d', 864_000, '10d'], ['0s', 0, '0s']])('%s is a duration', (text, seconds, written) => {
  expect(readDuration(text)).toBe(seconds);
  expect(writeDuration(seconds)).toBe(written);
});
it.each(['', '5', 'm', '1m1h', '-5m', '5 m', '1.5h'])('%j is none', (text) => expect(readDuration(text)).toBeNull());

describe('steps', () => {
  it('are as fine as a plot can show', () => {
    expect(stepOf(0, 300)).toBe(2);
    expect(stepOf(0, 3600)).toBe(15);
    expect(stepOf(0, 14 * 86_400)).toBe(7200);
    expect(stepOf(7, 300)).toBe(7);
  });
  it('are refused where they make too many values, with one that does not', () => {
    expect(stepProblem(1, 3600)).toBe('');
    const wrong = stepProblem(1, 14 * 86_400);
    expect(wrong).toContain('1,209,600 values');
    const least = readDuration(/take (\w+) or more/.exec(wrong)![1]!)!;
    expect(stepProblem(least, 14 * 86_400)).toBe('');
  });
});

describe('ranges', () => {
  it('end now, or when they say', () => {
    expect(ends({ last: 60 }, 1000.7)).toEqual([940, 1000]);
    expect(ends({ from: 1, to: 2 }, 1000)).toEqual([1, 2]);
  });
  it('move, and never beyond now', () => {
    expect(shifted({ last: 100 }, -0.5, 1000)).toEqual({ from: 850, to: 950 });
    expect(shifted({ from: 850, to: 950 }, 1, 1000)).toEqual({ from: 900, to: 1000 });
    expect(wider({ from: 850, to: 950 }, 1000)).toEqual({ from: 800, to: 1000 });
    expect(wider({ last: 60 }, 1000)).toEqual({ last: 120 });
  });
});

describe('errors', () => {
  it('have their place in the query', () => {
    const e = readError('invalid parameter "query": 1:5: parse error: unknown function with name "summ"', 'bad_data');
    expect(e).toMatchObject({ message: 'unknown function with name "summ"', line: 1, column: 5, kind: 'bad_data' });
    expect(placeOf('1 + summ(up)', e)).toEqual({ before: '1 + ', at: 'summ', after: '(up)' });
  });
  it('find it on later lines and behind letters of several bytes', () => {
    expect(placeOf('up\n# größe\n  sum(', readError('3:6: parse error: unexpected end', 'bad_data'))).toEqual({ before: '  sum', at: '(', after: '' });
    expect(placeOf('"größe" +', readError('1:12: parse error: x', 'bad_data'))).toEqual({ before: '"größe" +', at: '', after: '' });
  });
  it('have none where none is said, or where it is not in the query', () => {
    const e = readError('query timed out in expression evaluation', 'timeout');
    expect(e).toMatchObject({ message: 'query timed out in expression evaluation', line: 0 });
    expect(placeOf('up', e)).toBeNull();
    expect(placeOf('up', readError('1:99: parse error: x', ''))).toBeNull();
  });
});

describe('names of series', () => {
  it('are as PromQL writes them', () => expect(nameOf({ __name__: 'up', region: 'eu', a: '"x"' })).toBe('up{a="\\"x\\"", region="eu"}'));
  it('say only what tells them apart', () => {
    expect(labelsOf([{ __name__: 'n', service: 'orders', version: '1' }, { __name__: 'n', service: 'orders', version: '2' }], 'n')).toEqual(['version 1', 'version 2']);
  });
  it('are whole where there is one, and the query where it has no labels', () => {
    expect(labelsOf([{ __name__: 'up', region: 'eu' }], 'up')).toEqual(['up{region="eu"}']);
    expect(labelsOf([{}], ' sum(up) ')).toEqual(['sum(up)']);
  });
  it('begin with what people look for', () => {
    expect(labelsOf([{ code: '200', region: 'eu', version: '1' }, { code: '500', region: 'us', version: '2' }], 'n')[1]).toBe('version 2, region us, code 500');
  });
  it('keep a series that lacks what others have', () => expect(labelsOf([{ region: 'eu' }, {}], 'x')).toEqual(['region eu', 'x']));
});

it.each([
  ['rate(gantry_requests_total[1m])', 'per-second'],
  ['sum by (version) (rate(gantry_requests_total{code=~"5..", path="/a/b"}[1m]))', 'per-second'],
  ['sum(rate(gantry_requests_total{code=~"5.."}[1m])) / sum(rate(gantry_requests_total[1m]))', 'ratio'],
  ['histogram_quantile(0.99, sum by (version) (rate(gantry_request_duration_seconds[1m])))', 'seconds'],
  ['rate(x_seconds_sum[1m]) / rate(x_seconds_count[1m])', 'seconds'],
  ['process_resident_memory_bytes', 'bytes'],
  ['process_resident_memory_bytes / 1024', 'count'],
  ['rate(process_cpu_seconds_total[1m])', 'count'],
  ['process_start_time_seconds', 'count'],
  ['count(up)', 'count'],
  ['up', 'count'],
  ['', 'count'],
] as const)('%s is told in %s', (query, unit) => expect(unitOf(query)).toBe(unit));

describe('lines', () => {
  const row = (version: string, values: [number, string][]) => ({ metric: { version }, values });
  it('have gaps where there is no value, and where it is none', () => {
    const { series } = linesOf([row('1', [[100, '1'], [110, 'NaN'], [130, '4']])], 'up', 100, 130, 10);
    expect(series[0]).toMatchObject({ times: [100, 110, 120, 130], values: [1, null, null, 4] });
  });
  it('are the largest where there are too many', () => {
    const many = Array.from({ length: 100 }, (_, i) => row(String(i), [[0, String(i)]]));
    const { series, of } = linesOf(many, 'up', 0, 0, 1);
    expect(of).toBe(100);
    expect(series).toHaveLength(mostLines);
    expect(series.map((s) => s.label)).toContain('version 99');
    expect(series.map((s) => s.label)).not.toContain('version 59');
  });
});

describe('files', () => {
  it('have a line for each time', () => {
    const rows: Row[] = [{ metric: { a: 'x,"y"' }, values: [[0, '1'], [10, '2']] }, { metric: {}, values: [[10, 'NaN']] }];
    expect(csvOfRange(rows)).toBe('time,"{a=""x,\\""y\\""""}",{}\r\n1970-01-01T00:00:00.000Z,1,\r\n1970-01-01T00:00:10.000Z,2,NaN\r\n');
  });
  it('have a column for each label', () => {
    expect(csvOfValues([{ metric: { __name__: 'up', b: '1' }, value: [0, '1'] }, { metric: { a: 'x' }, value: [0, '0'] }])).toBe('__name__,a,b,value\r\nup,,1,1\r\n,x,,0\r\n');
  });
});
