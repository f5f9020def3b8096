import { isIPv4, isIPv6 } from 'node:net';
import { type FormatCheck, manifestFormats } from '../manifest/formats.js';

/** Every `format` of the settings' schema. */
export const settingsFormats: Readonly<Record<string, FormatCheck>> = {
  ...manifestFormats,
  'file-path': (value) => (isPath(value) ? null : 'expected the path of a file or folder'),
  'plain-path': plainPath,
  'address-pool': addressPool,
  listen: (value) =>
    /^[0-9]{1,5}$/.test(value)
      ? portReason(value)
      : addressReason(value, () => true, '80, 0.0.0.0:80 or [::]:80'),
  loopback: (value) => addressReason(value, isLoopback, '127.0.0.1:9180, on the loopback interface'),
  'address-range': (value) =>
    isAddressRange(value) ? null : 'expected an address or a network such as 10.0.0.0/8 or fd00::/8',
};

function isPath(value: string): boolean {
  return value !== '' && !/[\u0000-\u001f\u007f-\u009f]/.test(value);
}

/** These paths stand in nginx's configuration, where the other characters have a meaning. */
function plainPath(value: string): string | null {
  return isPath(value) && !/[\s"'`;{}$\\#*?[\]]/.test(value)
    ? null
    : 'expected a path without spaces, quotes, * ? [ ] ; { } $ # and \\, which nginx would misread';
}

const privateRanges = [
  { network: 0x0a000000, bits: 8 },
  { network: 0xac100000, bits: 12 },
  { network: 0xc0a80000, bits: 16 },
];

function addressPool(value: string): string | null {
  const [address = '', length = '', ...rest] = value.split('/');
  const bits = Number(length);
  if (!isIPv4(address) || !/^[0-9]{1,2}$/.test(length) || rest.length > 0) {
    return 'expected a private IPv4 range such as 10.213.0.0/16';
  }
  if (bits < 16 || bits > 28) return 'expected a range from /16 to /28: each project gets a /28 of it';
  const number = toNumber(address);
  const isPrivate = privateRanges.some((range) => maskedBy(number, range.bits) === range.network);
  if (!isPrivate) return 'expected a private range, inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16';
  const first = maskedBy(number, bits);
  return first === number ? null : `expected the first address of the range, ${toAddress(first)}/${bits}`;
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

function maskedBy(number: number, bits: number): number {
  return number - (number % 2 ** (32 - bits));
}

/** `address:port` or `[address]:port`. */
function addressReason(value: string, allows: (host: string) => boolean, example: string): string | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(value);
  const [, six, four, port = ''] = match ?? [];
  const host = six ?? four ?? '';
  const isAddress = six === undefined ? isIPv4(host) : isIPv6(host) && !host.includes('%');
  if (!isAddress || !allows(host)) return `expected an address with a port, such as ${example}`;
  return portReason(port);
}

function portReason(port: string): string | null {
  const number = Number(port);
  return number >= 1 && number <= 65535 && !port.startsWith('0') ? null : 'expected a port from 1 to 65535';
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}

function isAddressRange(value: string): boolean {
  const [address = '', length, ...rest] = value.split('/');
  const most = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : null;
  if (most === null || rest.length > 0) return false;
  return length === undefined || (/^(0|[1-9][0-9]{0,2})$/.test(length) && Number(length) <= most);
}
