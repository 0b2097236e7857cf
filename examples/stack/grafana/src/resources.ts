// Utilization, saturation and errors of what a service needs to work.
import { dashboard, row } from './dashboard.js';
import { chart } from './panels.js';
import { of, quantile, rate, sum } from './promql.js';

const INSTANCE = 'service_name, service_instance_id';
const OF_INSTANCE = '{{service_name}} {{service_instance_id}}';
const RUNTIME = `${INSTANCE}, tokio_runtime_name`;
const OF_RUNTIME = '{{service_name}}: {{tokio_runtime_name}} {{service_instance_id}}';
const LIMIT = 'service_name, tower_service_name';
const OF_LIMIT = '{{service_name}}: {{tower_service_name}}';

export const resources = dashboard('tower-resources', 'Resources', 'Utilization, saturation and errors.', [
  row(
    'Limits',
    chart('Waiting', 'short', [{ expr: sum(LIMIT, of('tower_service_waiting')), legend: OF_LIMIT }]),
    chart('P95 of the wait', 's', [{ expr: quantile(0.95, 'tower_service_wait_duration_seconds', LIMIT), legend: OF_LIMIT }]),
    chart('Turned away', 'ops', [{ expr: of('limit:tower_service_turned_away:rate5m'), legend: OF_LIMIT }], {
      description: 'Callers that were rejected, or that went away while they waited.',
    }),
  ),
  row(
    'Runtime',
    chart('Busy', 'percentunit', [{ expr: `${rate('tokio_runtime_worker_busy_time_seconds_total', RUNTIME)} / ${sum(RUNTIME, of('tokio_runtime_workers'))}`, legend: OF_RUNTIME }], { limits: [0.9] }),
    chart('Tasks', 'short', [{ expr: sum(RUNTIME, of('tokio_runtime_tasks_alive')), legend: OF_RUNTIME }]),
    chart('Global queue', 'short', [{ expr: sum(RUNTIME, of('tokio_runtime_global_queue_depth')), legend: OF_RUNTIME }]),
  ),
  row(
    'Process',
    chart('CPU', 'short', [{ expr: rate('process_cpu_time_seconds_total', `${INSTANCE}, cpu_mode`), legend: `${OF_INSTANCE} {{cpu_mode}}` }], { description: 'Cores in use.', stack: true }),
    chart('Memory', 'bytes', [{ expr: sum(INSTANCE, of('process_memory_usage_bytes')), legend: OF_INSTANCE }]),
    chart('File descriptors', 'short', [{ expr: sum(INSTANCE, of('process_unix_file_descriptor_count')), legend: OF_INSTANCE }]),
    chart('Threads', 'short', [{ expr: sum(INSTANCE, of('process_thread_count')), legend: OF_INSTANCE }]),
    chart('Context switches', 'ops', [{ expr: rate('process_context_switches_total', `${INSTANCE}, process_context_switch_type`), legend: `${OF_INSTANCE} {{process_context_switch_type}}` }], {
      description: 'Involuntary ones tell that the CPU is short.',
    }),
    chart('Uptime', 's', [{ expr: `max by (${INSTANCE}) (${of('process_uptime_seconds')})`, legend: OF_INSTANCE }]),
  ),
  row(
    'Connections and caches',
    chart('Inbound', 'short', [{ expr: sum(INSTANCE, of('http_server_open_connections')), legend: OF_INSTANCE }]),
    chart('Outbound', 'short', [{ expr: sum('service_name, http_connection_state', of('http_client_open_connections')), legend: '{{service_name}} {{http_connection_state}}' }]),
    chart('Hit ratio of caches', 'percentunit', [{ expr: of('cache:shop_cache_lookups:hit_ratio_rate5m'), legend: '{{service_name}}: {{shop_cache_name}}' }]),
  ),
]);
