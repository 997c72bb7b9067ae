import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export interface CertificateFiles {
  readonly key: string;
  readonly cert: string;
}

/** A self-signed certificate for two days, in a folder. Undefined: there is no openssl. @param names Such as `DNS:localhost,IP:127.0.0.1` */
export function makeCertificate(folder: string, names: string): CertificateFiles | undefined {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const { status } = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=test', '-addext', `subjectAltName=${names}`],
    ...['-keyout', key, '-out', cert],
  ]);
  return status === 0 ? { key, cert } : undefined;
}
