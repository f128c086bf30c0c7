/** How the server is set up. It is changed by its flags; see docs/operations.md. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { change } from '../../api/client';
import { q } from '../../api/queries';
import { bytes, plural } from '../../lib/format';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { Loaded } from '../../parts/Loaded';
import { Section } from '../../parts/Page';
import { tell } from '../../parts/Problem';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';

export function ServerSettings() {
  const settings = useQuery(q.settings());
  const [ask, setAsk] = useState(false);
  return (
    <>
      <Section title="This server">
        <Loaded query={settings}>
          {(s) => (
            <div className={table.frame}>
              <table className={table.table}>
                <tbody>
                  <tr><td>Version</td><td className="mono">{s.version}</td></tr>
                  <tr><td>Address</td><td className="mono">{s.url}</td></tr>
                  <tr><td>Listens on</td><td className="mono">{s.listen}{s.tls ? ', by TLS' : ', without TLS'}</td></tr>
                  <tr><td>Database</td><td>{s.database === 'sqlite' ? 'SQLite' : 'PostgreSQL'}, {bytes(s.data_size_bytes)}</td></tr>
                  <tr><td>Sign-in by OpenID Connect</td><td className="mono">{s.oidc_issuer || <span className="dim">not set up</span>}</td></tr>
                  <tr><td>Started</td><td><Ago at={s.started_at} /></td></tr>
                  <tr><td>API</td><td><a href="/openapi.json">/openapi.json</a></td></tr>
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </Section>
      <Section title="Secrets">
        <p className="dim" style={{ marginTop: 0, fontSize: 13, maxWidth: '75ch' }}>All secrets are encrypted with one data key, which is itself encrypted with the server’s age key. Rotating makes a new data key and encrypts every secret anew.</p>
        <CanButton action="settings:write" variant="default" onClick={() => setAsk(true)}>Rotate the key of secrets</CanButton>
        <Confirm opened={ask} onClose={() => setAsk(false)} title="Rotate the key of secrets?" verb="Rotate" act={async () => {
          const r = await change<{ secrets: number }>('POST', '/secrets/rotate');
          tell(`${plural(r.secrets, 'secret')} encrypted anew`);
        }}>
          Jobs that run keep what they were handed. Nobody has to do anything.
        </Confirm>
      </Section>
    </>
  );
}
