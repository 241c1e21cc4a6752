-- What assistants said at each revision, without their secrets: those are the ones that there are now.
CREATE TABLE document_versions (
    document TEXT NOT NULL,
    revision BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    changed_unix_ms BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (document, revision)
);
CREATE INDEX document_versions_tenant ON document_versions (tenant);
