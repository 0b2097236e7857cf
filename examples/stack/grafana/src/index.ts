import { dependencies } from './dependencies.js';
import { errorBudget } from './error-budget.js';
import { overview } from './overview.js';
import { requests } from './requests.js';
import { resources } from './resources.js';
import { telemetry } from './telemetry.js';

/** All dashboards, by the names of their files. */
export const dashboards = {
  overview,
  requests,
  dependencies,
  resources,
  'error-budget': errorBudget,
  telemetry,
};
