// Requests to the service. The address of the page is kept, so that it works below any prefix.

/** Asks for `?api=name&…`. Parameters that are empty are left out. */
export async function api(name, parameters = {}, signal) {
  const query = Object.entries({ api: name, ...parameters })
    .filter(([, value]) => value != null && value !== "")
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join("&");
  const response = await fetch(`?${query}`, { signal });
  if (response.ok) return response.json();
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  throw Object.assign(new Error((isJson && JSON.parse(text).error) || text || response.statusText), { status: response.status });
}

/** The hash of a view: `view("route", key)` or `view("traces", null, { status: "error" })`. */
export function view(name, argument, parameters = {}) {
  const query = Object.entries(parameters)
    .filter(([, value]) => value != null && value !== "")
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join("&");
  return `#/${name}${argument == null ? "" : `/${encodeURIComponent(argument)}`}${query && `?${query}`}`;
}
