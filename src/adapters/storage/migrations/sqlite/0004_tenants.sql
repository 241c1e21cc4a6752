-- What is kept of tenants.
--
-- Times are milliseconds since 1970, identifiers are UUIDs as text. `change` is the number of the change that made a row what it is.
-- What belongs to no tenant has none.

-- One row: the last change, and the last line of the audit. Who changes anything locks it first, so that numbers are committed in
-- their order.
CREATE TABLE counters (
    one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    change INTEGER NOT NULL,
    audit INTEGER NOT NULL,
    audit_hash TEXT NOT NULL
) STRICT;
INSERT INTO counters (one, change, audit, audit_hash) VALUES (1, 1, 0, '');
-- A data key that a master key has wrapped, to know it by.
CREATE TABLE master_keys (
    id TEXT PRIMARY KEY NOT NULL,
    wrapped TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE plans (
    name TEXT PRIMARY KEY NOT NULL,
    calls INTEGER NOT NULL,
    calls_per_second INTEGER,
    contact_center INTEGER NOT NULL,
    built_in INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    changed_unix_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL
) STRICT;
INSERT INTO plans (name, calls, contact_center, built_in, created_unix_ms, changed_unix_ms, revision, change) VALUES
    ('trial', 5, 0, 1, 0, 0, 1, 1), ('plus', 100, 1, 1, 0, 0, 1, 1), ('enterprise', 1000, 1, 1, 0, 0, 1, 1);
-- One that was deleted keeps its name, and nothing else.
CREATE TABLE tenants (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    data_key TEXT,
    master_key TEXT,
    deleted_unix_ms INTEGER,
    created_unix_ms INTEGER NOT NULL,
    changed_unix_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL
) STRICT;
CREATE INDEX tenants_plan ON tenants (plan);
CREATE INDEX tenants_master_key ON tenants (master_key);
-- Assistants, services and integrations. `numbers_change` is the last change of an integration's numbers.
CREATE TABLE documents (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    instance TEXT,
    numbers_change INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    changed_unix_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL,
    UNIQUE (tenant, kind, name)
) STRICT;
CREATE TABLE document_uses (
    document TEXT NOT NULL,
    uses TEXT NOT NULL,
    PRIMARY KEY (document, uses)
) STRICT;
CREATE INDEX document_uses_uses ON document_uses (uses);
CREATE TABLE secrets (
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    tenant TEXT NOT NULL,
    sealed TEXT NOT NULL,
    last_four TEXT,
    set_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, path)
) STRICT;
CREATE INDEX secrets_tenant ON secrets (tenant);
-- `instance` is that of the integration; a number without one has ''.
CREATE TABLE numbers (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    integration TEXT NOT NULL,
    number TEXT NOT NULL,
    instance TEXT NOT NULL,
    description TEXT NOT NULL,
    confirmed INTEGER NOT NULL,
    first_call_unix_ms INTEGER,
    created_unix_ms INTEGER NOT NULL,
    changed_unix_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL,
    UNIQUE (number, instance)
) STRICT;
CREATE INDEX numbers_tenant ON numbers (tenant, id);
CREATE INDEX numbers_integration ON numbers (integration);
CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    login TEXT NOT NULL,
    folded_login TEXT NOT NULL UNIQUE,
    tenant TEXT,
    role TEXT NOT NULL,
    password TEXT,
    enabled INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    changed_unix_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX users_tenant ON users (tenant, id);
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX identities_user ON identities (user_id);
CREATE TABLE invitations (
    id TEXT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    login TEXT NOT NULL,
    tenant TEXT,
    role TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_tenant ON invitations (tenant, id);
-- Sessions and tokens. A token has a tenant and a role of its own, a session those of its user.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT,
    role TEXT,
    made_from TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    seen_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX credentials_user ON credentials (user_id, kind, id);
CREATE INDEX credentials_tenant ON credentials (tenant);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY NOT NULL,
    id TEXT NOT NULL UNIQUE,
    at_unix_ms INTEGER NOT NULL,
    user_id TEXT,
    name TEXT NOT NULL,
    made_from TEXT NOT NULL,
    action TEXT NOT NULL,
    tenant TEXT,
    target TEXT,
    fields TEXT NOT NULL,
    outcome TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, number);
-- Refused INVITEs; `flood` is what those that are alike have in common. One for no tenant's number has `tenants` 0.
CREATE TABLE refusals (
    id TEXT PRIMARY KEY NOT NULL,
    flood TEXT NOT NULL,
    tenants INTEGER NOT NULL,
    first_unix_ms INTEGER NOT NULL,
    at_unix_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    number TEXT,
    source TEXT NOT NULL,
    transport TEXT NOT NULL,
    server_name TEXT,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX refusals_flood ON refusals (flood, first_unix_ms);
CREATE INDEX refusals_tenants ON refusals (tenants, id);
CREATE TABLE refusal_tenants (
    refusal TEXT NOT NULL,
    tenant TEXT NOT NULL,
    PRIMARY KEY (tenant, refusal)
) STRICT;
CREATE INDEX refusal_tenants_refusal ON refusal_tenants (refusal);
-- Requests that may be sent twice, and what they were answered.
CREATE TABLE answered_requests (
    name TEXT PRIMARY KEY NOT NULL,
    author TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    began_unix_ms INTEGER NOT NULL,
    status INTEGER,
    location TEXT,
    etag TEXT,
    body TEXT
) STRICT;
CREATE INDEX answered_requests_began ON answered_requests (began_unix_ms);
CREATE INDEX answered_requests_author ON answered_requests (author, began_unix_ms);
-- Who serves what is kept, and up to which change.
CREATE TABLE nodes (
    name TEXT PRIMARY KEY NOT NULL,
    seen_unix_ms INTEGER NOT NULL,
    change INTEGER NOT NULL,
    not_applied TEXT NOT NULL
) STRICT;
