export function bundle(
  entry: string,
  outfile: string,
  mutation?: { readonly file: string; readonly from: string; readonly to: string } | null,
): Promise<void>;
