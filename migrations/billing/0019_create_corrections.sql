-- Corrections that follow from a rule, each once: a book of an invoice that was re-rated, an instance of an invoice that was not there
-- as promised. What they gave back is the credit note's; what was too little waits in billing.charges.

CREATE TABLE billing.corrections (
  tenant_id      uuid NOT NULL,
  invoice_id     text COLLATE "C" NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('rerating', 'service_level')),
  subject        text COLLATE "C" NOT NULL,  -- the old price book's id, or the instance
  credit_note_id text COLLATE "C",
  reason         text NOT NULL,
  request_id     uuid NOT NULL,
  payload_sha256 text NOT NULL,
  create_time    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, invoice_id, kind, subject),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  FOREIGN KEY (tenant_id, credit_note_id) REFERENCES billing.invoices (tenant_id, id),
  CHECK (kind <> 'service_level' OR credit_note_id IS NOT NULL)
);
CREATE INDEX corrections_by_request ON billing.corrections (tenant_id, request_id);
ALTER TABLE billing.corrections ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.corrections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.corrections
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
REVOKE UPDATE, DELETE, TRUNCATE ON billing.corrections FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.corrections
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
