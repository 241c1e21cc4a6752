-- What is kept of tenants.
--
-- Times are milliseconds since 1970, identifiers are UUIDs as text. `change` is the number of the change that made a row what it is.
-- What belongs to no tenant has none.

-- One row: the last change, and the last line of the audit. Who changes anything locks it first, so that numbers are committed in
-- their order.
CREATE TABLE counters (
    one BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    change BIGINT NOT NULL,
    audit BIGINT NOT NULL,
    audit_hash TEXT COLLATE "C" NOT NULL
);
INSERT INTO counters (one, change, audit, audit_hash) VALUES (1, 1, 0, '');
-- A data key that a master key has wrapped, to know it by.
CREATE TABLE master_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    wrapped TEXT COLLATE "C" NOT NULL,
    created_unix_ms BIGINT NOT NULL
);
CREATE TABLE plans (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    calls BIGINT NOT NULL,
    calls_per_second BIGINT,
    contact_center BIGINT NOT NULL,
    built_in BIGINT NOT NULL,
    created_unix_ms BIGINT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    change BIGINT NOT NULL
);
INSERT INTO plans (name, calls, contact_center, built_in, created_unix_ms, changed_unix_ms, revision, change) VALUES
    ('trial', 5, 0, 1, 0, 0, 1, 1), ('plus', 100, 1, 1, 0, 0, 1, 1), ('enterprise', 1000, 1, 1, 0, 0, 1, 1);
-- One that was deleted keeps its name, and nothing else.
CREATE TABLE tenants (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    folded_name TEXT COLLATE "C" NOT NULL UNIQUE,
    title TEXT COLLATE "C" NOT NULL,
    plan TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    data_key TEXT COLLATE "C",
    master_key TEXT COLLATE "C",
    deleted_unix_ms BIGINT,
    created_unix_ms BIGINT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    change BIGINT NOT NULL
);
CREATE INDEX tenants_plan ON tenants (plan);
CREATE INDEX tenants_master_key ON tenants (master_key);
-- Assistants, services and integrations. `numbers_change` is the last change of an integration's numbers.
CREATE TABLE documents (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    instance TEXT COLLATE "C",
    numbers_change BIGINT NOT NULL,
    created_unix_ms BIGINT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    change BIGINT NOT NULL,
    UNIQUE (tenant, kind, name)
);
CREATE TABLE document_uses (
    document TEXT COLLATE "C" NOT NULL,
    uses TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (document, uses)
);
CREATE INDEX document_uses_uses ON document_uses (uses);
CREATE TABLE secrets (
    owner TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    sealed TEXT COLLATE "C" NOT NULL,
    last_four TEXT COLLATE "C",
    set_unix_ms BIGINT NOT NULL,
    PRIMARY KEY (owner, path)
);
CREATE INDEX secrets_tenant ON secrets (tenant);
-- `instance` is that of the integration; a number without one has ''.
CREATE TABLE numbers (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    integration TEXT COLLATE "C" NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    instance TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    confirmed BIGINT NOT NULL,
    first_call_unix_ms BIGINT,
    created_unix_ms BIGINT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    change BIGINT NOT NULL,
    UNIQUE (number, instance)
);
CREATE INDEX numbers_tenant ON numbers (tenant, id);
CREATE INDEX numbers_integration ON numbers (integration);
CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    login TEXT COLLATE "C" NOT NULL,
    folded_login TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant TEXT COLLATE "C",
    role TEXT COLLATE "C" NOT NULL,
    password TEXT COLLATE "C",
    enabled BIGINT NOT NULL,
    created_unix_ms BIGINT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX users_tenant ON users (tenant, id);
CREATE TABLE identities (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);
CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    login TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C",
    role TEXT COLLATE "C" NOT NULL,
    created_unix_ms BIGINT NOT NULL,
    expires_unix_ms BIGINT NOT NULL
);
CREATE INDEX invitations_tenant ON invitations (tenant, id);
-- Sessions and tokens. A token has a tenant and a role of its own, a session those of its user.
CREATE TABLE credentials (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C",
    role TEXT COLLATE "C",
    made_from TEXT COLLATE "C" NOT NULL,
    created_unix_ms BIGINT NOT NULL,
    seen_unix_ms BIGINT NOT NULL,
    expires_unix_ms BIGINT NOT NULL
);
CREATE INDEX credentials_user ON credentials (user_id, kind, id);
CREATE INDEX credentials_tenant ON credentials (tenant);
CREATE TABLE audit (
    number BIGINT PRIMARY KEY NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    at_unix_ms BIGINT NOT NULL,
    user_id TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    made_from TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C",
    target TEXT COLLATE "C",
    fields TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, number);
-- Refused INVITEs; `flood` is what those that are alike have in common. One for no tenant's number has `tenants` 0.
CREATE TABLE refusals (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    flood TEXT COLLATE "C" NOT NULL,
    tenants BIGINT NOT NULL,
    first_unix_ms BIGINT NOT NULL,
    at_unix_ms BIGINT NOT NULL,
    count BIGINT NOT NULL,
    number TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    transport TEXT COLLATE "C" NOT NULL,
    server_name TEXT COLLATE "C",
    status BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
);
CREATE INDEX refusals_flood ON refusals (flood, first_unix_ms);
CREATE INDEX refusals_tenants ON refusals (tenants, id);
CREATE TABLE refusal_tenants (
    refusal TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, refusal)
);
CREATE INDEX refusal_tenants_refusal ON refusal_tenants (refusal);
-- Requests that may be sent twice, and what they were answered.
CREATE TABLE answered_requests (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    began_unix_ms BIGINT NOT NULL,
    status BIGINT,
    location TEXT COLLATE "C",
    etag TEXT COLLATE "C",
    body TEXT COLLATE "C"
);
CREATE INDEX answered_requests_began ON answered_requests (began_unix_ms);
CREATE INDEX answered_requests_author ON answered_requests (author, began_unix_ms);
-- Who serves what is kept, and up to which change.
CREATE TABLE nodes (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    seen_unix_ms BIGINT NOT NULL,
    change BIGINT NOT NULL,
    not_applied TEXT COLLATE "C" NOT NULL
);
-- Who listens is told the number of a change once it is committed.
CREATE FUNCTION counters_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('bellhop_changes', new.change::text);
    RETURN NULL;
END $$;
CREATE TRIGGER counters_changed AFTER UPDATE ON counters
    FOR EACH ROW WHEN (old.change IS DISTINCT FROM new.change) EXECUTE FUNCTION counters_changed();
