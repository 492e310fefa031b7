// The results for a person, for a program and for the documentation: the same numbers, three shapes.
import { type Comparison, type Measure, outcomeOf } from './results.ts';

export interface Report {
  /** The command that repeats it. */
  command: string;
  machine: string;
  measures: Measure[];
}

const outcomes = { pass: 'pass', fail: 'FAIL', information: '–' } as const;

export function asText({ command, machine, measures }: Report): string {
  const lines = [`${command}   (${machine})`];
  for (const { title, unit, parties, comparisons, conditions } of measures) {
    lines.push('', title, ...wrap(conditions, 100).map((line) => `  ${line}`), '');
    const names = parties.map(({ name }) => name.length);
    for (const { name, figure, details } of parties) {
      const more = Object.entries(details).map(([what, value]) => `${what} ${shown(value)}`);
      lines.push(
        `  ${name.padEnd(Math.max(...names))}  ${shown(figure).padStart(8)} ${unit}   ${more.join(', ')}`,
      );
    }
    lines.push('');
    for (const comparison of comparisons) {
      const { peer, ratio } = comparison;
      const goal = goalOf(comparison);
      lines.push(
        `  ${outcomes[outcomeOf(comparison)].padEnd(4)}  ${peer}: ${ratio.toFixed(2)} ${goal && `(goal ${goal})`}`,
      );
    }
  }
  const goals = measures.flatMap(({ comparisons }) => comparisons.map(outcomeOf));
  const failed = goals.filter((outcome) => outcome === 'fail').length;
  const kept = goals.filter((outcome) => outcome === 'pass').length;
  lines.push('', `${kept} goals kept, ${failed} missed`);
  return lines.join('\n');
}

export function asJson(report: Report): string {
  const measures = report.measures.map((measure) => ({
    ...measure,
    comparisons: measure.comparisons.map((comparison) => ({ ...comparison, outcome: outcomeOf(comparison) })),
  }));
  return JSON.stringify({ ...report, measures }, undefined, 2);
}

/** The page `docs/bench.md`. */
export function asMarkdown({ command, machine, measures }: Report): string {
  const blocks = [
    '# Measured',
    `Every number here was printed by \`${command} --markdown\` on ${machine}. A shared machine is noisy: believe the ` +
      'ratios, which compare two things measured in turns in the same run, not the absolute figures. Run it yourself: ' +
      '`npm run bench -- --quick`; it ends with a non-zero code when a goal is missed.',
  ];
  for (const { title, unit, parties, comparisons, conditions } of measures) {
    const detail_names = [...new Set(parties.flatMap(({ details }) => Object.keys(details)))];
    blocks.push(
      `## ${title}`,
      `${conditions}.`,
      table(
        ['', unit, ...detail_names],
        parties.map(({ name, figure, details }) => [
          name,
          shown(figure),
          ...detail_names.map((what) => (details[what] === undefined ? '' : shown(details[what]))),
        ]),
      ),
      table(
        ['ratio (median of the rounds)', '', 'goal', ''],
        comparisons.map((comparison) => [
          comparison.peer,
          comparison.ratio.toFixed(2),
          goalOf(comparison),
          outcomes[outcomeOf(comparison)],
        ]),
      ),
    );
  }
  return `${blocks.join('\n\n')}\n`;
}

function goalOf({ goal }: Comparison): string {
  return goal === undefined ? '' : `${goal.relation} ${goal.ratio}`;
}

function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
