-- PDF files of issued documents, as they were first made: they are the same to the last byte only where the same fonts and libraries
-- are, and what was handed out once must not change with an update of either.

CREATE TABLE billing.document_files (
  tenant_id   uuid NOT NULL,
  invoice_id  text COLLATE "C" NOT NULL,
  language    text NOT NULL,
  content     bytea NOT NULL,
  sha256      bytea GENERATED ALWAYS AS (sha256(content)) STORED,
  create_time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, invoice_id, language),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id)
);
-- Compressed already.
ALTER TABLE billing.document_files ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE billing.document_files ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.document_files FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.document_files
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE, TRUNCATE ON billing.document_files FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.document_files
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
