// The health of telemetry itself: in services, in the Collector, in Prometheus.
import { dashboard, row } from './dashboard.js';
import { chart, stat } from './panels.js';
import { of, ofAllVersions, quantile, rate, sum } from './promql.js';

const COMPONENT = 'service_name, otel_component_type';
const OF_COMPONENT = '{{service_name}}: {{otel_component_type}}';
const COLLECTOR = '{{instance}} {{exporter}}';

/** The rate of a counter of the Collector. It has no suffix _total. */
const collector = (metric: string, by: string) => `sum by (${by}) (rate(${metric}[$__rate_interval]))`;

export const telemetry = dashboard('tower-telemetry', 'Telemetry', 'Whether telemetry arrives, and where it is lost.', [
  row(
    'Now',
    stat('Silent services', 'none', {
      expr: 'count(group by (service_name) (last_over_time(target_info{service_name!=""}[1h])) unless on (service_name) target_info) or vector(0)',
    }, { limits: [1] }),
    stat('Lost in services', 'none', { expr: `sum(${ofAllVersions('component:otel_sdk_lost_items:increase10m')}) or vector(0)` }, { description: 'Items in ten minutes.', limits: [1] }),
    stat('Lost in Collectors', 'none', { expr: 'sum(exporter:otelcol_lost_items:increase10m) or vector(0)' }, { description: 'Items in ten minutes.', limits: [1] }),
    stat('Refused by Collectors', 'ops', { expr: 'sum(receiver:otelcol_refused_items:rate5m) or vector(0)' }, { limits: [0.001] }),
    stat('Targets down', 'none', { expr: 'count(up == 0) or vector(0)' }, { limits: [1] }),
    stat('Failing rules', 'none', { expr: 'sum(increase(prometheus_rule_evaluation_failures_total[10m])) or vector(0)' }, { limits: [1] }),
  ),
  row(
    'Services',
    chart('Exported', 'ops', [
      { expr: rate('otel_sdk_exporter_span_exported_total', COMPONENT, 'error_type=""'), legend: OF_COMPONENT },
      { expr: rate('otel_sdk_exporter_log_exported_total', COMPONENT, 'error_type=""'), legend: OF_COMPONENT },
      { expr: rate('otel_sdk_exporter_metric_data_point_exported_total', COMPONENT, 'error_type=""'), legend: OF_COMPONENT },
    ]),
    chart('Failing attempts', 'percentunit', [{ expr: ofAllVersions('component:otel_sdk_failed_exports_per_exports:ratio_rate5m'), legend: OF_COMPONENT }], {
      description: 'They are repeated. Nothing is lost yet.',
    }),
    chart('Queues', 'percentunit', [{ expr: ofAllVersions('component:otel_sdk_queue_utilization:ratio'), legend: `${OF_COMPONENT} {{service_instance_id}}` }], { limits: [0.8] }),
    chart('P95 of attempts', 's', [{ expr: quantile(0.95, 'otel_sdk_exporter_operation_duration_seconds', COMPONENT), legend: OF_COMPONENT }]),
    chart('In flight', 'short', [
      { expr: sum(COMPONENT, of('otel_sdk_exporter_span_inflight')), legend: OF_COMPONENT },
      { expr: sum(COMPONENT, of('otel_sdk_exporter_log_inflight')), legend: OF_COMPONENT },
      { expr: sum(COMPONENT, of('otel_sdk_exporter_metric_data_point_inflight')), legend: OF_COMPONENT },
    ]),
    chart('Services that report', 'none', [{ expr: `count by (service_name, service_version) (${of('target_info', 'service_name!=""')})`, legend: '{{service_name}} {{service_version}}' }]),
  ),
  row(
    'Collector',
    chart('Accepted', 'ops', [
      { expr: collector('otelcol_receiver_accepted_spans', 'instance'), legend: '{{instance}} spans' },
      { expr: collector('otelcol_receiver_accepted_metric_points', 'instance'), legend: '{{instance}} points' },
      { expr: collector('otelcol_receiver_accepted_log_records', 'instance'), legend: '{{instance}} log records' },
    ]),
    chart('Sent', 'ops', [
      { expr: collector('otelcol_exporter_sent_spans', 'instance, exporter'), legend: COLLECTOR },
      { expr: collector('otelcol_exporter_sent_metric_points', 'instance, exporter'), legend: COLLECTOR },
      { expr: collector('otelcol_exporter_sent_log_records', 'instance, exporter'), legend: COLLECTOR },
    ]),
    chart('Refused', 'ops', [{ expr: 'receiver:otelcol_refused_items:rate5m', legend: '{{instance}} {{signal}}' }]),
    chart('Queues', 'percentunit', [{ expr: 'exporter:otelcol_queue_utilization:ratio', legend: COLLECTOR }], { limits: [0.8] }),
    chart('Memory', 'bytes', [{ expr: 'sum by (instance) (otelcol_process_memory_rss)', legend: '{{instance}}' }]),
    chart('CPU', 'short', [{ expr: collector('otelcol_process_cpu_seconds', 'instance'), legend: '{{instance}}' }], { description: 'Cores in use.' }),
  ),
  row(
    'Prometheus and Alertmanager',
    chart('Samples', 'ops', [{ expr: 'sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))', legend: '{{instance}}' }]),
    chart('Series and exemplars', 'short', [
      { expr: 'prometheus_tsdb_head_series', legend: '{{instance}} series' },
      { expr: 'prometheus_tsdb_exemplar_exemplars_in_storage', legend: '{{instance}} exemplars' },
    ]),
    chart('Evaluation of rules', 's', [{ expr: 'sum by (instance) (prometheus_rule_group_last_duration_seconds)', legend: '{{instance}}' }]),
    chart('Notifications', 'ops', [
      { expr: 'sum by (integration) (rate(alertmanager_notifications_total[$__rate_interval]))', legend: '{{integration}}' },
      { expr: 'sum by (integration) (rate(alertmanager_notifications_failed_total[$__rate_interval]))', legend: '{{integration}} failed' },
    ], { width: 12 }),
    chart('Targets', 'none', [{ expr: 'up', legend: '{{job}} {{instance}}' }], { width: 12 }),
  ),
]);
