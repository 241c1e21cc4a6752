-- What came of the last test of a document, as JSON.
ALTER TABLE documents ADD COLUMN last_test TEXT;
