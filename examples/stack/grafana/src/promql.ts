// Queries of metrics, filtered by the variables of the dashboard.

const SERVICE =
  'deployment_environment_name=~"$environment", service_name=~"$service", service_version=~"$version"';

/** The series of a metric that belong to the chosen services. */
export const of = (metric: string, filter = '') =>
  `${metric}{${filter === '' ? SERVICE : `${SERVICE}, ${filter}`}}`;

/** As `of`, for rules that sum the versions of a service. */
export const ofAllVersions = (metric: string) =>
  `${metric}{deployment_environment_name=~"$environment", service_name=~"$service"}`;

export const sum = (by: string, vector: string) => `sum by (${by}) (${vector})`;

/** The increase per second of a counter, summed. */
export const rate = (metric: string, by: string, filter = '') =>
  sum(by, `rate(${of(metric, filter)}[$__rate_interval])`);

/** The share of a counter that a filter selects: 0 if there is none, absent if the counter stands still. */
export const share = (metric: string, by: string, selected: string, filter = '') => {
  const all = rate(metric, by, filter);
  const some = rate(metric, by, filter === '' ? selected : `${filter}, ${selected}`);
  return `(${some} or 0 * ${all}) / (${all} > 0)`;
};

/** A quantile of a histogram. */
export const quantile = (q: number, histogram: string, by: string, filter = '') => {
  const labels = by === '' ? 'le' : `${by}, le`;
  return `histogram_quantile(${q}, ${rate(`${histogram}_bucket`, labels, filter)})`;
};

/** Errors of a server. A caller that goes away is none. The rules use the same filter. */
export const SERVER_ERROR = 'error_type!~"|cancelled"';
export const ANY_ERROR = 'error_type!=""';
export const ROUTE = 'http_route=~"$route"';
