-- What lists of calls show and are asked for, of the records themselves: the database computes it, so that nothing says otherwise.
CREATE FUNCTION json_array_length(document TEXT, path TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CAST(jsonb_array_length(jsonb_path_query_first(replace(document, '\u0000', '\ufffd')::jsonb, path::jsonpath)) AS BIGINT)
$$;
ALTER TABLE call_records
    ADD COLUMN dialled TEXT COLLATE "C"
        GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.primary_phone_number'), '')) STORED,
    ADD COLUMN ended TEXT COLLATE "C"
        GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.call.end_reason'), '')) STORED,
    ADD COLUMN ending TEXT COLLATE "C" GENERATED ALWAYS AS
        (COALESCE(json_extract(details, '$.call.ending'), json_extract(details, '$.call.end_reason'), '')) STORED,
    ADD COLUMN lasted_ms BIGINT
        GENERATED ALWAYS AS (COALESCE(CAST(json_extract(details, '$.call.milliseconds_elapsed') AS BIGINT), 0)) STORED,
    ADD COLUMN failure_details TEXT COLLATE "C"
        GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.failure_details'), '')) STORED,
    ADD COLUMN turns BIGINT GENERATED ALWAYS AS
        (COALESCE(json_array_length(details, '$.assistant_interaction_summaries[0].turns'), 0)) STORED;
-- A tenant's calls, the newest first.
CREATE INDEX call_records_of_tenant ON call_records (tenant, began_unix_ms DESC, session);
-- A call is looked for by each of its names.
CREATE INDEX call_records_call ON call_records (call);
CREATE INDEX call_records_sip_call_id ON call_records (sip_call_id);
