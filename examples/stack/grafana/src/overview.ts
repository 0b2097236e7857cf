// The state of services at a glance, and the way to the details.
import { dashboard, row } from './dashboard.js';
import { chart, logLines, stat, table } from './panels.js';
import { of, ofAllVersions, rate, sum } from './promql.js';

export const overview = dashboard('tower-overview', 'Service overview', 'Services at a glance.', [
  row(
    'Now',
    stat('Requests', 'reqps', { expr: sum('', of('operation:server_requests:rate5m')) }),
    stat('Error ratio', 'percentunit', {
      expr: `${sum('', of('operation:server_errors:rate5m'))} / (${sum('', of('operation:server_requests:rate5m'))} > 0)`,
    }, { limits: [0.001, 0.05] }),
    stat('Slowest P95', 's', { expr: `max(${of('operation:server_duration_seconds:p95_rate5m')} >= 0)` }, { limits: [0.5, 1] }),
    stat('Least error budget', 'percentunit', { expr: `min(${ofAllVersions('service:error_budget_remaining:ratio')})` }, { goodAbove: 0 }),
    stat('Alerts', 'none', { expr: 'count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)' }, { limits: [1] }),
    stat('Instances', 'none', { expr: `count(${of('target_info', 'service_name!=""')})` }),
  ),
  row(
    'Requests',
    chart('Rate', 'reqps', [{ expr: sum('service_name, service_version', of('operation:server_requests:rate5m')), legend: '{{service_name}} {{service_version}}' }]),
    chart('Error ratio', 'percentunit', [{ expr: ofAllVersions('service:server_errors_per_requests:ratio_rate5m'), legend: '{{service_name}}' }]),
    chart('Slowest P95', 's', [{ expr: `max by (service_name, service_version) (${of('operation:server_duration_seconds:p95_rate5m')} >= 0)`, legend: '{{service_name}} {{service_version}}' }]),
  ),
  row(
    'Dependencies and resources',
    chart('Failed calls', 'percentunit', [{ expr: of('dependency:client_errors_per_requests:ratio_rate5m'), legend: '{{service_name}} to {{server_address}}:{{server_port}} {{db_system_name}}' }]),
    chart('CPU', 'short', [{ expr: of('instance:process_cpu_seconds:rate5m'), legend: '{{service_name}} {{service_instance_id}}' }], { description: 'Cores in use.' }),
    chart('Saturation', 'percentunit', [
      { expr: of('pool:db_client_connection_utilization:ratio'), legend: '{{service_name}}: pool {{db_client_connection_pool_name}}' },
      { expr: of('runtime:tokio_runtime_busy:ratio_rate5m'), legend: '{{service_name}}: runtime {{tokio_runtime_name}}' },
    ]),
  ),
  row(
    'Business',
    chart('Orders', 'ops', [{ expr: rate('shop_orders_total', 'shop_order_outcome'), legend: '{{shop_order_outcome}}' }], { stack: true }),
    chart('Hit ratio of caches', 'percentunit', [{ expr: of('cache:shop_cache_lookups:hit_ratio_rate5m'), legend: '{{shop_cache_name}}' }]),
    chart('Jobs', 's', [{ expr: `histogram_quantile(0.95, ${rate('shop_job_duration_seconds_bucket', 'shop_job_name, le')})`, legend: 'P95 of {{shop_job_name}}' }]),
  ),
  row(
    'Alerts and logs',
    table('Firing alerts', 'none', { expr: 'ALERTS{alertstate="firing"}' }, 24),
    logLines('Warnings and errors', '{service.name=~"$service"} severity_number:>=13'),
  ),
]);
