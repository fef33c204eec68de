// Typed errors of the contract, and the status this API gives each.

export function failure(tag, param, message) {
  return { kind: { tag }, message, param };
}

export function invalid(param, message) {
  return failure("invalid-argument", param, message);
}

export function unsupported(param, message) {
  return failure("unsupported", param, message);
}

const STATUS = {
  "model-not-found": 404,
  "not-found": 404,
  unauthenticated: 401,
  forbidden: 403,
  "method-not-allowed": 405,
  conflict: 409,
  "too-large": 413,
  "rate-limited": 429,
  cancelled: 499,
  "plugin-fault": 500,
  internal: 500,
  other: 500,
  overloaded: 503,
  timeout: 504,
};

export function statusOf(error) {
  return STATUS[error.kind.tag] ?? 400;
}
