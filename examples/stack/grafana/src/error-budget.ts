// Targets, and how fast the error budget of 30 days burns.
import { dashboard, row } from './dashboard.js';
import { chart, stat, table } from './panels.js';
import { of, ofAllVersions } from './promql.js';

const BURN = 'service:error_budget_burn';
const NAME = '{{service_name}}';

/** The two windows of an alert. It fires while both are above the limit. */
const burn = (title: string, long: string, short: string, limit: number) =>
  chart(title, 'none', [
    { expr: ofAllVersions(`${BURN}:rate${long}`), legend: `${NAME} ${long}` },
    { expr: ofAllVersions(`${BURN}:rate${short}`), legend: `${NAME} ${short}` },
  ], { limits: [limit] });

export const errorBudget = dashboard(
  'tower-error-budget',
  'Error budget',
  'A burn rate of 1 uses the budget up in 30 days. The targets are in rules/targets.yml.',
  [
    row(
      'Budget',
      stat('Remaining', 'percentunit', { expr: ofAllVersions('service:error_budget_remaining:ratio'), legend: NAME }, { goodAbove: 0 }),
      stat('Target', 'percentunit', { expr: ofAllVersions('service:server_availability:target'), legend: NAME }),
      stat('Availability, 30 days', 'percentunit', { expr: `1 - ${ofAllVersions('service:server_errors_per_requests:ratio_rate30d')}`, legend: NAME }),
      stat('Availability, 3 days', 'percentunit', { expr: `1 - ${ofAllVersions('service:server_errors_per_requests:ratio_rate3d')}`, legend: NAME }),
      stat('Availability, 6 hours', 'percentunit', { expr: `1 - ${ofAllVersions('service:server_errors_per_requests:ratio_rate6h')}`, legend: NAME }),
      stat('Availability, 1 hour', 'percentunit', { expr: `1 - ${ofAllVersions('service:server_errors_per_requests:ratio_rate1h')}`, legend: NAME }),
    ),
    row(
      'Burn rates',
      burn('Page: 2 % in an hour', '1h', '5m', 14.4),
      burn('Page: 5 % in six hours', '6h', '30m', 6),
      burn('Ticket: 10 % in three days', '3d', '6h', 1),
      chart('Remaining budget', 'percentunit', [{ expr: ofAllVersions('service:error_budget_remaining:ratio'), legend: NAME }], { width: 24 }),
    ),
    row(
      'Who uses it',
      table('Errors per second by operation', 'reqps', { expr: `topk(20, ${of('operation:server_errors:rate5m')})` }),
      table('P95 above its target', 'percentunit', {
        expr: `sort_desc(${of('operation:server_duration_seconds:p95_rate5m')} / ${of('operation:server_p95_seconds:target')})`,
      }),
    ),
  ],
);
