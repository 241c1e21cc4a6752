// A real provider of OpenID Connect on loopback, which knows whoever a browser says it is (`X-Account`), and answers wrongly
// when it is told to (`POST /fault?…`). It prints its port, and ends when its standard input does.
//   node server.mjs FOLDER REDIRECT_URI, where FOLDER/node_modules has the packages of package-lock.json

import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, redirectUri] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(path.join(folder, 'node_modules', file)));
const { default: Provider } = await load('oidc-provider/lib/index.js');
const jose = await load('jose/dist/node/esm/index.js');

const key = async (kid) => {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' };
};
const [ours, ofNobody] = [await key('ours'), await key('of nobody')];

// What a token says, or is signed by, when something is wrong with it.
let fault = 'none';
const faults = {
  nonce: (claims) => [{ ...claims, nonce: 'of another sign-in' }, ours],
  'no nonce': ({ nonce, ...claims }) => [claims, ours],
  issuer: (claims) => [{ ...claims, iss: 'https://evil.example' }, ours],
  audience: (claims) => [{ ...claims, aud: 'another' }, ours],
  expired: (claims) => [{ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 }, ours],
  key: (claims) => [claims, { ...ofNobody, kid: 'ours' }],
  'unknown key': (claims) => [claims, ofNobody],
};

const server = http.createServer().listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: 'bellhop',
      client_secret: 'a secret of the client',
      redirect_uris: [redirectUri],
      id_token_signed_response_alg: 'ES256',
    }],
    cookies: { keys: ['of tests'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [ours] },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid');
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
  });
  provider.use(async (context, next) => {
    if (context.path === '/fault') {
      fault = context.query.is;
      context.status = 204;
      return;
    }
    if (context.path.startsWith('/interaction/')) {
      const account = context.get('X-Account');
      const refused = { error: 'access_denied', error_description: 'they changed their mind' };
      const result = account ? { login: { accountId: account } } : refused;
      context.respond = false;
      await provider.interactionFinished(context.req, context.res, result);
      return;
    }
    await next();
    const wrong = faults[fault];
    if (context.path === '/token' && context.body?.id_token && wrong) {
      const [claims, by] = wrong(jose.decodeJwt(context.body.id_token));
      const header = { alg: 'ES256', kid: by.kid };
      const signed = new jose.SignJWT(claims).setProtectedHeader(header);
      context.body.id_token = await signed.sign(await jose.importJWK(by, 'ES256'));
    }
  });
  server.on('request', provider.callback());
  console.log(port);
});
process.stdin.resume().on('end', () => process.exit());
