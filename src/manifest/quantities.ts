const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
/** `Ki|Mi|Gi` for limits, `k|m|g` where nginx takes the size; both are powers of 1024. */
const sizeUnits = {
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
} as const;

/** `<n>ms|s|m|h` in milliseconds; null when `text` is not a duration. */
export function parseDuration(text: string): number | null {
  const match = /^(0|[1-9][0-9]{0,8})(ms|s|m|h)$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * durationUnits[match[2] as keyof typeof durationUnits];
}

/** `<n>Ki|Mi|Gi` or `<n>k|m|g` in bytes; null when `text` is not a size. */
export function parseSize(text: string): number | null {
  const match = /^(0|[1-9][0-9]{0,11})(Ki|Mi|Gi|k|m|g)$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * sizeUnits[match[2] as keyof typeof sizeUnits];
}

/** `200-399` or `204`, both ends inclusive, from 100 to 599; null when `text` is neither. */
export function parseStatusRange(text: string): { readonly from: number; readonly to: number } | null {
  const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(text);
  if (match === null) return null;
  const from = Number(match[1]);
  const to = match[2] === undefined ? from : Number(match[2]);
  return from <= to ? { from, to } : null;
}
