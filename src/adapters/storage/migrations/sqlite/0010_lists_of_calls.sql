-- What lists of calls show and are asked for, of the records themselves: the database computes it, so that nothing says otherwise.
ALTER TABLE call_records ADD COLUMN dialled TEXT
    GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.primary_phone_number'), '')) VIRTUAL;
ALTER TABLE call_records ADD COLUMN ended TEXT
    GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.call.end_reason'), '')) VIRTUAL;
ALTER TABLE call_records ADD COLUMN ending TEXT GENERATED ALWAYS AS
    (COALESCE(json_extract(details, '$.call.ending'), json_extract(details, '$.call.end_reason'), '')) VIRTUAL;
ALTER TABLE call_records ADD COLUMN lasted_ms INTEGER
    GENERATED ALWAYS AS (COALESCE(CAST(json_extract(details, '$.call.milliseconds_elapsed') AS INTEGER), 0)) VIRTUAL;
ALTER TABLE call_records ADD COLUMN failure_details TEXT
    GENERATED ALWAYS AS (COALESCE(json_extract(details, '$.failure_details'), '')) VIRTUAL;
ALTER TABLE call_records ADD COLUMN turns INTEGER
    GENERATED ALWAYS AS (COALESCE(json_array_length(details, '$.assistant_interaction_summaries[0].turns'), 0)) VIRTUAL;
-- A tenant's calls, the newest first; what they are narrowed by stands in it, so that no record is opened to be passed over.
CREATE INDEX call_records_of_tenant ON call_records
    (tenant, began_unix_ms DESC, session, expires_unix, caller, dialled, ended, ending, lasted_ms, failure_details);
-- A call is looked for by each of its names.
CREATE INDEX call_records_call ON call_records (call);
CREATE INDEX call_records_sip_call_id ON call_records (sip_call_id);
