export function wholeFrom(least: number): (text: string) => number;
