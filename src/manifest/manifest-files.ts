/** Whether a file of this name in the config repository's folder is a manifest. */
export function isManifestName(name: string): boolean {
  return /\.ya?ml$/.test(name);
}

/**
 * Whether manifests below a folder of this name count. Hidden folders belong to other programs: `.git`,
 * `.github`, an editor's; so does what a package manager installed. The folder that a person names is
 * looked at whatever its name.
 */
export function isSearched(folderName: string): boolean {
  return !folderName.startsWith('.') && folderName !== 'node_modules';
}
