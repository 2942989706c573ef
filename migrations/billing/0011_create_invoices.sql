-- Invoices and credit notes: insert-only documents with a gapless number for each legal entity that issues them.
--
-- Finalising is one transaction under the tenant's lock: header, lines, taxes and transfers. The number is taken by the header's
-- trigger, which locks one row for the legal entity to the end of the transaction: what rolls back leaves no gap, and there is no
-- sequence that could. What a line bills it takes from usage_totals, each token once; what is settled later stays open there and
-- comes into the next invoice. At commit every document is added up once more.

---------------------------------------------------------------------------------------------------------------------
-- Who issues invoices. Of the platform, not of a tenant.

CREATE TABLE billing.legal_entities (
  id                 text PRIMARY KEY,
  name               text NOT NULL,
  street             text NOT NULL,
  city               text NOT NULL,
  postal_code        text NOT NULL,
  country_code       text NOT NULL,
  tax_id             text NOT NULL,
  registration_id    text NOT NULL,
  invoice_prefix     text NOT NULL,
  credit_note_prefix text NOT NULL CHECK (credit_note_prefix <> invoice_prefix),
  payment_days       integer NOT NULL CHECK (payment_days BETWEEN 0 AND 365),
  payment_terms      text NOT NULL,
  create_time        timestamptz NOT NULL,
  update_time        timestamptz NOT NULL
);
-- Prefixes are for good, and of one kind of document of one entity: a number says whose it is. None ends in a digit, so that a number
-- is of one of them only. Filled by the trigger below.
CREATE TABLE billing.number_prefixes (
  prefix          text COLLATE "C" PRIMARY KEY CHECK (prefix ~ '[^0-9]$'),
  legal_entity_id text NOT NULL REFERENCES billing.legal_entities,
  kind            text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
  UNIQUE (legal_entity_id, kind)
);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.number_prefixes FROM allod_billing;

CREATE FUNCTION billing.keep_prefixes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO billing.number_prefixes (prefix, legal_entity_id, kind)
    VALUES (NEW.invoice_prefix, NEW.id, 'invoice'), (NEW.credit_note_prefix, NEW.id, 'credit_note');
  RETURN NULL;
END $$;
CREATE TRIGGER keep_prefixes AFTER INSERT ON billing.legal_entities
  FOR EACH ROW EXECUTE FUNCTION billing.keep_prefixes();

REVOKE UPDATE, DELETE, TRUNCATE ON billing.legal_entities FROM allod_billing;
GRANT UPDATE (name, street, city, postal_code, country_code, tax_id, registration_id, payment_days, payment_terms, update_time)
  ON billing.legal_entities TO allod_billing;

-- The last number given, and when: dates never go back along numbers. Moved by the trigger on invoices alone.
CREATE TABLE billing.document_numbers (
  legal_entity_id text NOT NULL REFERENCES billing.legal_entities,
  kind            text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
  last            bigint NOT NULL,
  last_time       timestamptz NOT NULL,
  PRIMARY KEY (legal_entity_id, kind)
);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.document_numbers FROM allod_billing;

---------------------------------------------------------------------------------------------------------------------
-- Tables of one tenant each.

CREATE TABLE billing.billing_profiles (
  tenant_id        uuid PRIMARY KEY REFERENCES billing.billing_accounts (tenant_id),
  legal_entity_id  text NOT NULL REFERENCES billing.legal_entities,
  name             text NOT NULL,
  street           text NOT NULL,
  city             text NOT NULL,
  postal_code      text NOT NULL,
  country_code     text NOT NULL,
  tax_id           text NOT NULL,
  registration_id  text NOT NULL,
  buyer_reference  text NOT NULL,
  tax_category     text NOT NULL CHECK (tax_category IN ('S', 'Z', 'E', 'AE', 'G', 'O')),
  tax_basis_points integer NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000),
  tax_note         text NOT NULL,
  finalise_by_hand boolean NOT NULL,
  create_time      timestamptz NOT NULL,
  update_time      timestamptz NOT NULL
);

CREATE TABLE billing.invoices (
  tenant_id           uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  id                  text COLLATE "C" NOT NULL,  -- YYYY-MM, of a credit note YYYY-MM-cN
  kind                text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
  month               date NOT NULL,              -- its first day
  legal_entity_id     text NOT NULL REFERENCES billing.legal_entities,
  sequence            bigint NOT NULL,
  number              text NOT NULL,
  currency_code       text NOT NULL,
  issue_time          timestamptz NOT NULL,
  due_time            timestamptz NOT NULL,
  seller_name         text NOT NULL,
  seller_street       text NOT NULL,
  seller_city         text NOT NULL,
  seller_postal_code  text NOT NULL,
  seller_country_code text NOT NULL,
  seller_tax_id       text NOT NULL,
  seller_registration_id text NOT NULL,
  buyer_name          text NOT NULL,
  buyer_street        text NOT NULL,
  buyer_city          text NOT NULL,
  buyer_postal_code   text NOT NULL,
  buyer_country_code  text NOT NULL,
  buyer_tax_id        text NOT NULL,
  buyer_registration_id text NOT NULL,
  buyer_reference     text NOT NULL,
  payment_terms       text NOT NULL,
  net                 numeric(38,0) NOT NULL CHECK (net >= 0),
  tax                 numeric(38,0) NOT NULL CHECK (tax >= 0),
  payable             numeric(38,0) NOT NULL CHECK (payable = net + tax),
  residue             numeric(38,0) NOT NULL,  -- exact less rounded
  corrected_id        text,                    -- of a credit note: the invoice that it corrects
  reason              text NOT NULL,
  request_id          uuid,
  payload_sha256      text NOT NULL,
  create_xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT one_document_per_number UNIQUE (legal_entity_id, kind, sequence),
  UNIQUE (tenant_id, request_id),
  CHECK (extract(day FROM month) = 1),
  CHECK (CASE kind WHEN 'invoice' THEN id = to_char(month, 'YYYY-MM') AND corrected_id IS NULL
         ELSE id ~ ('^' || corrected_id || '-c[1-9][0-9]*$') AND residue = 0 AND request_id IS NOT NULL END),
  FOREIGN KEY (tenant_id, corrected_id) REFERENCES billing.invoices (tenant_id, id)
);

CREATE TABLE billing.invoice_lines (
  tenant_id       uuid NOT NULL,
  invoice_id      text COLLATE "C" NOT NULL,
  number          integer NOT NULL CHECK (number > 0),
  month           date NOT NULL,  -- in which the requests were admitted; before the invoice's: they were settled late
  instance        text NOT NULL,
  variant         text NOT NULL,
  price_book_id   uuid NOT NULL,
  isolation_class text NOT NULL,
  meter           text NOT NULL CHECK (meter IN ('prompt', 'completion')),
  request_count   bigint NOT NULL CHECK (request_count > 0),
  first_epoch     integer NOT NULL,  -- which of them: those that were settled in these epochs of the tenant
  last_epoch      integer NOT NULL CHECK (last_epoch >= first_epoch),
  quantity        bigint NOT NULL CHECK (quantity > 0),
  unit_price      numeric(38,0) NOT NULL,
  exact           numeric(38,0) NOT NULL CHECK (exact = quantity * unit_price),
  amount          numeric(38,0) NOT NULL CHECK (amount >= 0),
  tax_category     text NOT NULL,
  tax_basis_points integer NOT NULL,
  PRIMARY KEY (tenant_id, invoice_id, number),
  UNIQUE (tenant_id, invoice_id, month, instance, variant, price_book_id, isolation_class, meter),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id)
);

CREATE TABLE billing.credit_note_lines (
  tenant_id        uuid NOT NULL,
  invoice_id       text COLLATE "C" NOT NULL,  -- of the credit note
  number           integer NOT NULL CHECK (number > 0),
  credited_id      text COLLATE "C" NOT NULL,
  credited_line    integer NOT NULL,
  amount           numeric(38,0) NOT NULL CHECK (amount > 0),
  PRIMARY KEY (tenant_id, invoice_id, number),
  UNIQUE (tenant_id, invoice_id, credited_line),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  FOREIGN KEY (tenant_id, credited_id, credited_line) REFERENCES billing.invoice_lines (tenant_id, invoice_id, number)
);
CREATE INDEX credit_note_lines_by_line ON billing.credit_note_lines (tenant_id, credited_id, credited_line);

CREATE TABLE billing.invoice_taxes (
  tenant_id    uuid NOT NULL,
  invoice_id   text COLLATE "C" NOT NULL,
  category     text NOT NULL CHECK (category IN ('S', 'Z', 'E', 'AE', 'G', 'O')),
  basis_points integer NOT NULL,
  taxable      numeric(38,0) NOT NULL,
  tax          numeric(38,0) NOT NULL CHECK (tax >= 0),
  note         text NOT NULL,
  PRIMARY KEY (tenant_id, invoice_id, category, basis_points),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id)
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['billing_profiles', 'invoices', 'invoice_lines', 'credit_note_lines', 'invoice_taxes'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['invoices', 'invoice_lines', 'credit_note_lines', 'invoice_taxes'] LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', t);
  END LOOP;
END $$;
REVOKE DELETE, TRUNCATE ON billing.billing_profiles FROM allod_billing;

---------------------------------------------------------------------------------------------------------------------
-- Which requests a line bills. Every invoice of a tenant begins an epoch; a record has the one in which it was settled, and an
-- invoice takes all that is open of its month and of those before it. So a line is of a range of epochs, and every token is in one
-- line. Settling and finalising exclude each other by the lock on the tenant's account.

ALTER TABLE billing.billing_accounts ADD COLUMN invoice_epoch integer NOT NULL DEFAULT 0;  -- moved by the trigger on invoices alone
ALTER TABLE billing.usage_records ADD COLUMN invoice_epoch integer NOT NULL DEFAULT 0;
ALTER TABLE billing.usage_totals
  ADD COLUMN requests_invoiced          bigint NOT NULL DEFAULT 0,
  ADD COLUMN prompt_tokens_invoiced     bigint NOT NULL DEFAULT 0,
  ADD COLUMN completion_tokens_invoiced bigint NOT NULL DEFAULT 0,
  ADD COLUMN next_epoch                 integer NOT NULL DEFAULT 0,  -- the first that no line has
  -- Whether there is something to invoice. Changes with the first request and with the invoice, so that its index costs the
  -- requests between them nothing.
  ADD COLUMN open boolean NOT NULL DEFAULT true;
ALTER TABLE billing.usage_totals NO FORCE ROW LEVEL SECURITY;
UPDATE billing.usage_totals SET open = false WHERE prompt_tokens = 0 AND completion_tokens = 0;
ALTER TABLE billing.usage_totals FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.usage_totals
  ADD CHECK (requests_invoiced BETWEEN 0 AND request_count),
  ADD CHECK (prompt_tokens_invoiced BETWEEN 0 AND prompt_tokens),
  ADD CHECK (completion_tokens_invoiced BETWEEN 0 AND completion_tokens),
  ADD CHECK (open = (prompt_tokens > prompt_tokens_invoiced OR completion_tokens > completion_tokens_invoiced));
CREATE INDEX usage_totals_open ON billing.usage_totals (tenant_id, month) WHERE open;

CREATE OR REPLACE FUNCTION billing.add_to_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM added n JOIN billing.billing_accounts a ON a.tenant_id = n.tenant_id
             WHERE n.invoice_epoch <> a.invoice_epoch) THEN
    RAISE EXCEPTION 'a usage record has another epoch than its tenant' USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO billing.usage_totals AS t (tenant_id, month, instance, variant, price_book_id, isolation_class, prompt_price,
      completion_price, request_count, prompt_tokens, completion_tokens, amount, open)
    SELECT n.tenant_id, date_trunc('month', n.admit_time AT TIME ZONE 'UTC')::date, n.instance, n.variant, n.price_book_id,
      n.isolation_class, n.prompt_price, n.completion_price, count(*), sum(n.prompt_tokens - n.excess_prompt_tokens)::bigint,
      sum(n.completion_tokens - n.excess_completion_tokens)::bigint, sum(n.cost),
      sum(n.prompt_tokens - n.excess_prompt_tokens + n.completion_tokens - n.excess_completion_tokens) > 0
    FROM added n WHERE n.billed
    GROUP BY n.tenant_id, 2, n.instance, n.variant, n.price_book_id, n.isolation_class, n.prompt_price, n.completion_price
    ON CONFLICT (tenant_id, month, instance, variant, price_book_id, isolation_class) DO UPDATE SET
      request_count = t.request_count + EXCLUDED.request_count, prompt_tokens = t.prompt_tokens + EXCLUDED.prompt_tokens,
      completion_tokens = t.completion_tokens + EXCLUDED.completion_tokens, amount = t.amount + EXCLUDED.amount,
      open = t.open OR EXCLUDED.open;
  RETURN NULL;
END $$;

---------------------------------------------------------------------------------------------------------------------
-- Numbers, and what a line takes. As the owner, because the app role may touch neither counters nor totals.

CREATE FUNCTION billing.number_invoice() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE issued timestamptz;
BEGIN
  -- Dates do not go back along numbers: one of the future would be on all that is issued until then.
  IF NEW.issue_time > clock_timestamp() + interval '5 minutes' THEN
    RAISE EXCEPTION 'invoice % is of the future: %', NEW.id, NEW.issue_time USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO billing.document_numbers AS n (legal_entity_id, kind, last, last_time)
    VALUES (NEW.legal_entity_id, NEW.kind, 1, NEW.issue_time)
    ON CONFLICT (legal_entity_id, kind) DO UPDATE
      SET last = n.last + 1, last_time = greatest(n.last_time, EXCLUDED.last_time)
    RETURNING n.last, n.last_time INTO NEW.sequence, issued;
  NEW.due_time := NEW.due_time + (issued - NEW.issue_time);
  NEW.issue_time := issued;
  SELECT CASE NEW.kind WHEN 'invoice' THEN e.invoice_prefix ELSE e.credit_note_prefix END
      || lpad(NEW.sequence::text, greatest(6, length(NEW.sequence::text)), '0')
    INTO STRICT NEW.number FROM billing.legal_entities e WHERE e.id = NEW.legal_entity_id;
  NEW.create_xid := pg_current_xact_id();
  IF NEW.kind = 'invoice' THEN
    UPDATE billing.billing_accounts a SET invoice_epoch = a.invoice_epoch + 1 WHERE a.tenant_id = NEW.tenant_id;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER number_invoice BEFORE INSERT ON billing.invoices
  FOR EACH ROW EXECUTE FUNCTION billing.number_invoice();

-- A document is whole from the start.
CREATE FUNCTION billing.check_joins_new_invoice() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT i.create_xid FROM billing.invoices i WHERE i.tenant_id = NEW.tenant_id AND i.id = NEW.invoice_id)
     IS DISTINCT FROM pg_current_xact_id() THEN
    RAISE EXCEPTION 'invoice % is immutable', NEW.invoice_id USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_joins_new_invoice BEFORE INSERT ON billing.invoice_lines
  FOR EACH ROW EXECUTE FUNCTION billing.check_joins_new_invoice();
CREATE TRIGGER check_joins_new_invoice BEFORE INSERT ON billing.credit_note_lines
  FOR EACH ROW EXECUTE FUNCTION billing.check_joins_new_invoice();
CREATE TRIGGER check_joins_new_invoice BEFORE INSERT ON billing.invoice_taxes
  FOR EACH ROW EXECUTE FUNCTION billing.check_joins_new_invoice();

CREATE FUNCTION billing.take_from_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE billing.usage_totals t SET
      prompt_tokens_invoiced = CASE NEW.meter WHEN 'prompt' THEN t.prompt_tokens ELSE t.prompt_tokens_invoiced END,
      completion_tokens_invoiced = CASE NEW.meter WHEN 'completion' THEN t.completion_tokens
                                   ELSE t.completion_tokens_invoiced END,
      requests_invoiced = t.request_count, next_epoch = NEW.last_epoch + 1,
      open = CASE NEW.meter WHEN 'prompt' THEN t.completion_tokens > t.completion_tokens_invoiced
             ELSE t.prompt_tokens > t.prompt_tokens_invoiced END
    WHERE t.tenant_id = NEW.tenant_id AND t.month = NEW.month AND t.instance = NEW.instance AND t.variant = NEW.variant
      AND t.price_book_id = NEW.price_book_id AND t.isolation_class = NEW.isolation_class
      -- All that is there of the meter, at its price.
      AND CASE NEW.meter
        WHEN 'prompt' THEN NEW.unit_price = t.prompt_price AND NEW.quantity = t.prompt_tokens - t.prompt_tokens_invoiced
        ELSE NEW.unit_price = t.completion_price
          AND NEW.quantity = t.completion_tokens - t.completion_tokens_invoiced END
      -- Up to the epoch that this invoice ends, from where the last one ended; of the second meter that has moved already.
      AND NEW.last_epoch = (SELECT a.invoice_epoch - 1 FROM billing.billing_accounts a WHERE a.tenant_id = NEW.tenant_id)
      AND t.next_epoch IN (NEW.first_epoch, NEW.last_epoch + 1);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'line % of invoice % is not what is to be invoiced', NEW.number, NEW.invoice_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER take_from_totals AFTER INSERT ON billing.invoice_lines
  FOR EACH ROW EXECUTE FUNCTION billing.take_from_totals();

---------------------------------------------------------------------------------------------------------------------
-- The ledger. What an invoice does to the books besides what usage did:
--   rounding    exact less rounded, between receivable and rounding, whichever way
--   tax         owed by the tenant, and owed to the state
--   credit      of a credit note, net; back from revenue
--   credit_tax  its tax

ALTER TABLE billing.transfers
  ADD COLUMN invoice_id text COLLATE "C",
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post', 'rounding', 'tax', 'credit', 'credit_tax')),
  ADD CHECK ((kind IN ('rounding', 'tax', 'credit', 'credit_tax')) = (invoice_id IS NOT NULL)),
  ADD CHECK (CASE kind
    WHEN 'rounding' THEN (debit, credit) IN (('receivable', 'rounding'), ('rounding', 'receivable'))
    WHEN 'tax' THEN (debit, credit) = ('receivable', 'tax-payable')
    WHEN 'credit' THEN (debit, credit) = ('usage-revenue', 'receivable')
    WHEN 'credit_tax' THEN (debit, credit) = ('tax-payable', 'receivable')
    ELSE true END),
  ADD FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id);
CREATE UNIQUE INDEX one_transfer_per_invoice_and_kind ON billing.transfers (tenant_id, invoice_id, kind)
  WHERE invoice_id IS NOT NULL;

-- billing.posts() and apply_transfers() need no change: whatever is not named there moves its amount.

-- Accounts that were opened before have no tax-payable yet.
ALTER TABLE billing.billing_accounts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.ledger_accounts NO FORCE ROW LEVEL SECURITY;
INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code)
  SELECT a.tenant_id, 'tax-payable', a.currency_code FROM billing.billing_accounts a;
ALTER TABLE billing.ledger_accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.billing_accounts FORCE ROW LEVEL SECURITY;

---------------------------------------------------------------------------------------------------------------------
-- What is wrong with a document; NULL if nothing is. Asked at commit of the transaction that makes it, and by the audit.

CREATE FUNCTION billing.invoice_fault(p_tenant uuid, p_id text) RETURNS text
LANGUAGE sql STABLE AS $$
  WITH doc AS (SELECT * FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.id = p_id),
  lines AS (
    SELECT l.amount, l.exact FROM billing.invoice_lines l WHERE l.tenant_id = p_tenant AND l.invoice_id = p_id
    UNION ALL SELECT c.amount, c.amount FROM billing.credit_note_lines c
      WHERE c.tenant_id = p_tenant AND c.invoice_id = p_id),
  added AS (SELECT count(*) AS count, coalesce(sum(amount), 0) AS net, coalesce(sum(exact), 0) AS exact FROM lines),
  taxed AS (SELECT coalesce(sum(x.taxable), 0) AS taxable, coalesce(sum(x.tax), 0) AS tax FROM billing.invoice_taxes x
    WHERE x.tenant_id = p_tenant AND x.invoice_id = p_id),
  moved AS (
    SELECT coalesce(sum(CASE t.debit WHEN 'rounding' THEN t.amount ELSE -t.amount END) FILTER (WHERE t.kind = 'rounding'), 0)
        AS residue,
      coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('tax', 'credit_tax')), 0) AS tax,
      coalesce(sum(t.amount) FILTER (WHERE t.kind = 'credit'), 0) AS credit
    FROM billing.transfers t WHERE t.tenant_id = p_tenant AND t.invoice_id = p_id)
  SELECT CASE
    WHEN added.count = 0 THEN 'has no lines'
    WHEN doc.net <> added.net THEN 'its net is not the sum of its lines'
    WHEN doc.residue <> added.exact - added.net THEN 'its residue is not what rounding left'
    WHEN doc.net <> taxed.taxable OR doc.tax <> taxed.tax THEN 'its taxes do not add up'
    WHEN doc.residue <> moved.residue THEN 'its residue was not booked'
    WHEN doc.tax <> moved.tax THEN 'its tax was not booked'
    WHEN moved.credit <> CASE doc.kind WHEN 'credit_note' THEN doc.net ELSE 0 END THEN 'its credit was not booked'
    WHEN EXISTS (
      SELECT FROM billing.credit_note_lines c
      JOIN billing.invoice_lines l
        ON l.tenant_id = c.tenant_id AND l.invoice_id = c.credited_id AND l.number = c.credited_line
      WHERE c.tenant_id = p_tenant AND c.credited_id = coalesce(doc.corrected_id, doc.id)
      GROUP BY c.credited_line, l.amount HAVING sum(c.amount) > l.amount) THEN 'more is credited than was invoiced'
    END
  FROM doc, added, taxed, moved
$$;

CREATE FUNCTION billing.check_invoice() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE fault text := billing.invoice_fault(NEW.tenant_id, NEW.id);
BEGIN
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'invoice %: %', NEW.id, fault USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_invoice AFTER INSERT ON billing.invoices DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.check_invoice();
