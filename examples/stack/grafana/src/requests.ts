// Rate, errors and duration of what services serve, by route and by gRPC method.
import { dashboard, row, WITH_ROUTE } from './dashboard.js';
import { chart, heatmap } from './panels.js';
import { of, ofAllVersions, quantile, rate, ROUTE, SERVER_ERROR, share, sum } from './promql.js';

const HTTP = 'http_server_request_duration_seconds';
const COUNT = `${HTTP}_count`;
const BY = 'http_request_method, http_route';
const NAME = '{{http_request_method}} {{http_route}}';
const RPC = 'rpc_server_call_duration_seconds';

export const requests = dashboard(
  'tower-requests',
  'Requests',
  'Rate, errors and duration by route. The dots are exemplars: each opens the trace of a request.',
  [
    row(
      'HTTP',
      chart('Rate', 'reqps', [{ expr: rate(COUNT, BY, ROUTE), legend: NAME }]),
      chart('Error ratio', 'percentunit', [{ expr: share(COUNT, BY, SERVER_ERROR, ROUTE), legend: NAME }], {
        description: '5xx, panics and broken bodies. Callers that go away are no errors.',
      }),
      chart('Errors by type', 'reqps', [
        { expr: rate(COUNT, `${BY}, error_type`, `${ROUTE}, error_type!=""`), legend: `${NAME}: {{error_type}}` },
      ]),
      chart('P50, P95 and P99', 's', [
        { expr: quantile(0.5, HTTP, '', ROUTE), legend: 'P50', exemplar: true },
        { expr: quantile(0.95, HTTP, '', ROUTE), legend: 'P95' },
        { expr: quantile(0.99, HTTP, '', ROUTE), legend: 'P99' },
      ]),
      chart('P95 by route', 's', [{ expr: quantile(0.95, HTTP, BY, ROUTE), legend: NAME, exemplar: true }]),
      chart('P99 by route', 's', [{ expr: quantile(0.99, HTTP, BY, ROUTE), legend: NAME, exemplar: true }]),
      heatmap('Durations', sum('le', `increase(${of(`${HTTP}_bucket`, ROUTE)}[$__rate_interval])`)),
      chart('By status', 'reqps', [{ expr: rate(COUNT, 'http_response_status_code', ROUTE), legend: '{{http_response_status_code}}' }], { stack: true }),
      chart('By version', 'reqps', [{ expr: rate(COUNT, 'service_name, service_version', ROUTE), legend: '{{service_name}} {{service_version}}' }], { stack: true }),
      chart('Active', 'short', [{ expr: sum('service_name', of('http_server_active_requests')), legend: '{{service_name}}' }]),
    ),
    row(
      'gRPC',
      chart('Rate', 'reqps', [{ expr: rate(`${RPC}_count`, 'rpc_method'), legend: '{{rpc_method}}' }]),
      chart('Error ratio', 'percentunit', [{ expr: share(`${RPC}_count`, 'rpc_method', SERVER_ERROR), legend: '{{rpc_method}}' }]),
      chart('By status', 'reqps', [{ expr: rate(`${RPC}_count`, 'rpc_method, rpc_status_code'), legend: '{{rpc_method}} {{rpc_status_code}}' }]),
      chart('P50', 's', [{ expr: quantile(0.5, RPC, 'rpc_method'), legend: '{{rpc_method}}', exemplar: true }]),
      chart('P95', 's', [{ expr: quantile(0.95, RPC, 'rpc_method'), legend: '{{rpc_method}}', exemplar: true }]),
      chart('P99', 's', [{ expr: quantile(0.99, RPC, 'rpc_method'), legend: '{{rpc_method}}', exemplar: true }]),
    ),
    row(
      'Targets',
      chart('P95 and its target', 's', [
        { expr: of('operation:server_duration_seconds:p95_rate5m'), legend: '{{service_name}} {{http_request_method}} {{http_route}}{{rpc_method}}' },
        { expr: `max by (service_name) (${of('operation:server_p95_seconds:target')})`, legend: 'target of {{service_name}}' },
      ], { width: 12 }),
      chart('Availability', 'percentunit', [
        { expr: `1 - ${ofAllVersions('service:server_errors_per_requests:ratio_rate5m')}`, legend: '{{service_name}}' },
        { expr: ofAllVersions('service:server_availability:target'), legend: 'target of {{service_name}}' },
      ], { width: 12 }),
    ),
  ],
  WITH_ROUTE,
);
