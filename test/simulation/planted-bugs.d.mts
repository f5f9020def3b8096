export const plantedBugs: readonly {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly seed?: number;
  readonly scenario?: string;
}[];
