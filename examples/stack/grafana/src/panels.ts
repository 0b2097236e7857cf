// Panels of one line each. Sizes are those of Grafana's grid of 24 columns.
import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  HeatmapCellLayout,
  type FieldConfig,
  GraphThresholdsStyleMode,
  type GridPos,
  LegendDisplayMode,
  LogsDedupStrategy,
  LogsSortOrder,
  type Panel,
  PercentChangeColorMode,
  SortOrder,
  StackingMode,
  type ThresholdsConfig,
  ThresholdsMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizOrientation,
} from '@grafana/schema';
import {
  HeatmapColorMode,
  type Options as HeatmapOptions,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as LogsOptions } from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as LineStyle,
  Options as TimeSeriesOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** Data sources by the fixed uids of provisioning/datasources. */
export const PROMETHEUS = { type: 'prometheus', uid: 'prometheus' };
export const LOGS = { type: 'victoriametrics-logs-datasource', uid: 'logs' };

export type Unit = 's' | 'reqps' | 'ops' | 'percentunit' | 'bytes' | 'short' | 'none';

/** A query of Prometheus. This type is not among those of @grafana/schema. */
export interface Query {
  expr: string;
  /** A template such as `{{http_route}}`. */
  legend?: string;
  /** Shows the exemplars of the histogram, which open their traces. */
  exemplar?: boolean;
}

/** A panel without its place and its id. */
export type Placeless = Omit<Panel, 'gridPos' | 'id'> & { size: Pick<GridPos, 'w' | 'h'> };

/** Lines over time. */
export const chart = (
  title: string,
  unit: Unit,
  queries: Query[],
  more: { description?: string; width?: number; limits?: number[]; stack?: boolean } = {},
): Placeless => ({
  size: { w: more.width ?? 8, h: 8 },
  type: 'timeseries',
  title,
  ...(more.description !== undefined && { description: more.description }),
  datasource: PROMETHEUS,
  targets: queries.map((query, index) => target(query, index)),
  fieldConfig: {
    defaults: {
      unit,
      min: 0,
      ...(more.limits !== undefined && { thresholds: steps(more.limits) }),
      custom: {
        lineWidth: 1,
        fillOpacity: more.stack === true ? 30 : 8,
        ...(more.stack === true && { stacking: { mode: StackingMode.Normal, group: 'A' } }),
        ...(more.limits !== undefined && { thresholdsStyle: { mode: GraphThresholdsStyleMode.Line } }),
      } satisfies LineStyle,
    },
    overrides: [],
  },
  options: {
    legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
    tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
  } satisfies TimeSeriesOptions as Record<string, unknown>,
});

/** The latest value, with its course behind it. */
export const stat = (
  title: string,
  unit: Unit,
  query: Query,
  more: { description?: string; limits?: number[]; goodAbove?: number } = {},
): Placeless => ({
  size: { w: 4, h: 4 },
  type: 'stat',
  title,
  ...(more.description !== undefined && { description: more.description }),
  datasource: PROMETHEUS,
  targets: [target(query, 0)],
  fieldConfig: {
    defaults: {
      unit,
      thresholds:
        more.goodAbove === undefined ? steps(more.limits ?? []) : steps([more.goodAbove], ['red', 'green']),
    } satisfies FieldConfig,
    overrides: [],
  },
  options: {
    reduceOptions: { calcs: ['lastNotNull'], values: false },
    orientation: VizOrientation.Auto,
    colorMode: BigValueColorMode.Value,
    graphMode: BigValueGraphMode.Area,
    justifyMode: BigValueJustifyMode.Auto,
    textMode: BigValueTextMode.Auto,
    percentChangeColorMode: PercentChangeColorMode.Standard,
    showPercentChange: false,
    wideLayout: true,
  } satisfies StatOptions as Record<string, unknown>,
});

/** The latest values, one series a line, with its labels as columns. */
export const table = (title: string, unit: Unit, query: Query, width = 12): Placeless => ({
  size: { w: width, h: 8 },
  type: 'table',
  title,
  datasource: PROMETHEUS,
  targets: [{ ...target(query, 0), instant: true, range: false, format: 'table' }],
  transformations: [{ id: 'organize', options: { excludeByName: { Time: true, __name__: true } } }],
  fieldConfig: { defaults: { unit } satisfies FieldConfig, overrides: [] },
  options: { frameIndex: 0, showHeader: true } satisfies TableOptions as Record<string, unknown>,
});

/** How durations are spread over time, with exemplars. */
export const heatmap = (title: string, expr: string, width = 24): Placeless => ({
  size: { w: width, h: 8 },
  type: 'heatmap',
  title,
  datasource: PROMETHEUS,
  targets: [{ ...target({ expr, legend: '{{le}}', exemplar: true }, 0), format: 'heatmap' }],
  fieldConfig: { defaults: {}, overrides: [] },
  options: {
    calculate: false,
    cellGap: 1,
    color: {
      mode: HeatmapColorMode.Scheme,
      scheme: 'Oranges',
      fill: 'dark-orange',
      steps: 64,
      exponent: 0.5,
      reverse: false,
    },
    exemplars: { color: 'rgba(255, 0, 255, 0.7)' },
    filterValues: { le: 1e-9 },
    legend: { show: true },
    rowsFrame: { layout: HeatmapCellLayout.auto },
    showValue: VisibilityMode.Never,
    tooltip: { mode: TooltipDisplayMode.Single, yHistogram: false },
    yAxis: { unit: 's' },
  } satisfies HeatmapOptions as Record<string, unknown>,
});

/** Log lines. Each one with a trace id leads to its trace. */
export const logLines = (title: string, expr: string): Placeless => ({
  size: { w: 24, h: 8 },
  type: 'logs',
  title,
  datasource: LOGS,
  targets: [{ refId: 'A', datasource: LOGS, expr, queryType: 'instant', maxLines: 100 }],
  options: {
    dedupStrategy: LogsDedupStrategy.none,
    enableLogDetails: true,
    prettifyLogMessage: false,
    showCommonLabels: false,
    showLabels: false,
    showLogContextToggle: false,
    showTime: true,
    sortOrder: LogsSortOrder.Descending,
    wrapLogMessage: true,
  } satisfies LogsOptions as Record<string, unknown>,
});

const target = ({ expr, legend, exemplar }: Query, index: number) => ({
  refId: String.fromCharCode('A'.charCodeAt(0) + index),
  datasource: PROMETHEUS,
  expr,
  editorMode: 'code',
  range: true,
  exemplar: exemplar ?? false,
  ...(legend !== undefined && { legendFormat: legend }),
});

/** Green below the first limit, then orange, then red. */
const steps = (limits: number[], colors = ['green', ...(limits.length > 1 ? ['orange'] : []), 'red']): ThresholdsConfig => ({
  mode: ThresholdsMode.Absolute,
  steps: colors
    .slice(0, limits.length + 1)
    .map((color, index) => ({ color, value: index === 0 ? null : (limits[index - 1] ?? null) })),
});
