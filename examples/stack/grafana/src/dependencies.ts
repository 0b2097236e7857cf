// Outgoing calls and databases, and the pools of connections between.
import { dashboard, row } from './dashboard.js';
import { chart } from './panels.js';
import { ANY_ERROR, of, quantile, rate, share, sum } from './promql.js';

const HTTP = 'http_client_request_duration_seconds';
const RPC = 'rpc_client_call_duration_seconds';
const DB = 'db_client_operation_duration_seconds';
const SERVER = 'service_name, server_address, server_port';
const TO_SERVER = '{{service_name}} to {{server_address}}:{{server_port}}';
const METHOD = 'service_name, rpc_method';
const TO_METHOD = '{{service_name}}: {{rpc_method}}';
// A statement has a summary, an operation without SQL only a name.
const STATEMENT = 'db_query_summary, db_operation_name';
const TO_STATEMENT = '{{db_query_summary}} {{db_operation_name}}';
const POOL = 'service_name, db_client_connection_pool_name';
const OF_POOL = '{{service_name}}: {{db_client_connection_pool_name}}';

export const dependencies = dashboard(
  'tower-dependencies',
  'Clients and databases',
  'What services wait for. The dots are exemplars: each opens a trace.',
  [
    row(
      'HTTP clients',
      chart('Rate', 'reqps', [{ expr: rate(`${HTTP}_count`, SERVER), legend: TO_SERVER }]),
      chart('Error ratio', 'percentunit', [{ expr: share(`${HTTP}_count`, SERVER, ANY_ERROR), legend: TO_SERVER }], {
        description: 'Every error.type, 4xx included. The alert leaves out answers that tell of the request.',
      }),
      chart('Errors by type', 'reqps', [{ expr: rate(`${HTTP}_count`, `${SERVER}, error_type`, ANY_ERROR), legend: `${TO_SERVER}: {{error_type}}` }]),
      chart('P50', 's', [{ expr: quantile(0.5, HTTP, SERVER), legend: TO_SERVER }]),
      chart('P95', 's', [{ expr: quantile(0.95, HTTP, SERVER), legend: TO_SERVER, exemplar: true }]),
      chart('Connections', 'short', [{ expr: sum(`${SERVER}, http_connection_state`, of('http_client_open_connections')), legend: `${TO_SERVER} {{http_connection_state}}` }]),
    ),
    row(
      'gRPC clients',
      chart('Rate', 'reqps', [{ expr: rate(`${RPC}_count`, METHOD), legend: TO_METHOD }]),
      chart('Error ratio', 'percentunit', [{ expr: share(`${RPC}_count`, METHOD, ANY_ERROR), legend: TO_METHOD }]),
      chart('P95', 's', [{ expr: quantile(0.95, RPC, METHOD), legend: TO_METHOD, exemplar: true }]),
    ),
    row(
      'Databases',
      chart('Rate', 'ops', [{ expr: rate(`${DB}_count`, STATEMENT), legend: TO_STATEMENT }]),
      chart('Error ratio', 'percentunit', [{ expr: share(`${DB}_count`, STATEMENT, ANY_ERROR), legend: TO_STATEMENT }]),
      chart('P95', 's', [{ expr: quantile(0.95, DB, STATEMENT), legend: TO_STATEMENT, exemplar: true }]),
    ),
    row(
      'Pools of connections',
      chart('Connections', 'short', [
        { expr: sum(`${POOL}, db_client_connection_state`, of('db_client_connection_count')), legend: `${OF_POOL} {{db_client_connection_state}}` },
        { expr: sum(POOL, of('db_client_connection_limit')), legend: `${OF_POOL} limit` },
      ]),
      chart('Utilization', 'percentunit', [{ expr: of('pool:db_client_connection_utilization:ratio'), legend: `${OF_POOL} {{service_instance_id}}` }], { limits: [0.9] }),
      chart('Waiting', 'short', [{ expr: sum(POOL, of('db_client_connection_pending_requests')), legend: OF_POOL }]),
      chart('P95 of the wait time', 's', [{ expr: quantile(0.95, 'db_client_connection_wait_time_seconds', POOL), legend: OF_POOL }]),
      chart('P95 of the use time', 's', [{ expr: quantile(0.95, 'db_client_connection_use_time_seconds', POOL), legend: OF_POOL }]),
      chart('Timeouts', 'ops', [{ expr: rate('db_client_connection_timeouts_total', POOL), legend: OF_POOL }]),
    ),
  ],
);
