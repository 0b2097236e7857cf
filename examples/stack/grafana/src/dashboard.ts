// A dashboard: rows of panels, the variables that all dashboards share, and the versions as annotations.
import {
  type AnnotationQuery,
  type Dashboard,
  DashboardCursorSync,
  type DashboardLink,
  type DataQuery,
  type Panel,
  type RowPanel,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/schema';
import { type Placeless, PROMETHEUS } from './panels.js';

export interface Row {
  title: string;
  panels: Placeless[];
}

export const row = (title: string, ...panels: Placeless[]): Row => ({ title, panels });

export const dashboard = (
  uid: string,
  title: string,
  description: string,
  rows: Row[],
  variables: VariableModel[] = [ENVIRONMENT, SERVICE, VERSION],
) =>
  ({
    uid,
    title,
    description,
    tags: [TAG],
    schemaVersion: 42,
    editable: true,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    graphTooltip: DashboardCursorSync.Crosshair,
    links: [OTHER_DASHBOARDS],
    templating: { list: variables },
    annotations: { list: variables.length > 0 ? [VERSIONS] : [] },
    panels: place(rows),
  }) satisfies Dashboard;

const variable = (name: string, label: string, query: string): VariableModel => ({
  name,
  label,
  type: 'query',
  datasource: PROMETHEUS,
  query: { query, refId: name },
  refresh: VariableRefresh.onTimeRangeChanged,
  sort: VariableSort.alphabeticalAsc,
  multi: true,
  includeAll: true,
  // Series without the label belong to all.
  allValue: '.*',
  current: { text: ['All'], value: ['$__all'] },
});

const ENVIRONMENT = variable(
  'environment',
  'Environment',
  'label_values(target_info{service_name!=""}, deployment_environment_name)',
);
const SERVICE = variable(
  'service',
  'Service',
  'label_values(target_info{service_name!="", deployment_environment_name=~"$environment"}, service_name)',
);
const VERSION = variable(
  'version',
  'Version',
  'label_values(target_info{deployment_environment_name=~"$environment", service_name=~"$service"}, service_version)',
);
const ROUTE = variable(
  'route',
  'Route',
  'label_values(http_server_request_duration_seconds_count{deployment_environment_name=~"$environment", service_name=~"$service"}, http_route)',
);
export const WITH_ROUTE = [ENVIRONMENT, SERVICE, VERSION, ROUTE];

const TAG = 'tower-telemetry';

const OTHER_DASHBOARDS: DashboardLink = {
  title: 'Dashboards',
  type: 'dashboards',
  tags: [TAG],
  asDropdown: false,
  includeVars: true,
  keepTime: true,
  targetBlank: false,
  icon: 'external link',
  tooltip: '',
};

/** A version that wasn't there five minutes ago. */
const VERSIONS: AnnotationQuery<DataQuery & { expr: string; step: string }> & { titleFormat: string } = {
  name: 'Versions',
  enable: true,
  iconColor: 'blue',
  datasource: PROMETHEUS,
  titleFormat: '{{service_name}} {{service_version}}',
  target: {
    refId: 'versions',
    step: '30s',
    expr:
      'group by (service_name, service_version) (target_info{deployment_environment_name=~"$environment", service_name=~"$service", service_version!=""}) ' +
      'unless group by (service_name, service_version) (target_info offset 5m)',
  },
};

/** Puts panels side by side, and into the next line when a line is full. */
const place = (rows: Row[]): (Panel | RowPanel)[] => {
  const placed: (Panel | RowPanel)[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    placed.push({ id: placed.length + 1, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } });
    y += 1;
    let x = 0;
    let height = 0;
    for (const { size, ...panel } of panels) {
      if (x + size.w > 24) {
        y += height;
        x = height = 0;
      }
      placed.push({ id: placed.length + 1, ...panel, gridPos: { x, y, ...size } });
      x += size.w;
      height = Math.max(height, size.h);
    }
    y += height;
  }
  return placed;
};
