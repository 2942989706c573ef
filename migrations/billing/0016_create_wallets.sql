-- Wallets: money that a tenant has paid beforehand, vouchers, and payments of what was invoiced.
--
-- Every movement is a row of billing.payments; its transfer has the same id and is made by the trigger, so that there is never one
-- without the other. Usage is owed on `receivable` as before; the wallet pays invoices, when one is issued and when money comes in.

CREATE TABLE billing.vouchers (
  id            uuid PRIMARY KEY,
  code_sha256   text NOT NULL UNIQUE,  -- of a code of 100 random bits: there is nothing to guess from it
  amount        numeric(38,0) NOT NULL CHECK (amount > 0),
  currency_code text NOT NULL,
  uses_max      integer NOT NULL CHECK (uses_max BETWEEN 1 AND 100000),
  used          integer NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses_max),  -- moved by the trigger on payments alone
  expire_time   timestamptz NOT NULL,
  note          text NOT NULL,
  request_id    uuid NOT NULL,
  create_time   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX vouchers_by_request ON billing.vouchers (request_id);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.vouchers FROM allod_billing;
GRANT INSERT (id, code_sha256, amount, currency_code, uses_max, expire_time, note, request_id) ON billing.vouchers TO allod_billing;
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON billing.vouchers
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

--   top_up          the tenant paid into its wallet
--   redeem          it redeemed a voucher
--   refund          it got money of its wallet back
--   payment         it paid an invoice
--   wallet_payment  its wallet paid an invoice
--   overpayment     a credit note corrected what was paid already: that comes into the wallet
CREATE TABLE billing.payments (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL,  -- of its transfer as well
  kind           text NOT NULL CHECK (kind IN ('top_up', 'redeem', 'refund', 'payment', 'wallet_payment', 'overpayment')),
  amount         numeric(38,0) NOT NULL CHECK (amount > 0),
  currency_code  text NOT NULL,
  invoice_id     text COLLATE "C",
  voucher_id     uuid REFERENCES billing.vouchers,
  reference      text NOT NULL,
  payload_sha256 text NOT NULL,  -- '' of those that nobody asked for
  create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, currency_code) REFERENCES billing.billing_accounts (tenant_id, currency_code),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id),
  CHECK ((kind IN ('payment', 'wallet_payment', 'overpayment')) = (invoice_id IS NOT NULL)),
  CHECK ((kind = 'redeem') = (voucher_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_redemption_per_tenant ON billing.payments (tenant_id, voucher_id) WHERE voucher_id IS NOT NULL;
CREATE INDEX payments_by_voucher ON billing.payments (voucher_id) WHERE voucher_id IS NOT NULL;
CREATE INDEX payments_by_invoice ON billing.payments (tenant_id, invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX payments_by_time ON billing.payments (tenant_id, create_time, id);
CREATE INDEX credit_notes_by_invoice ON billing.invoices (tenant_id, corrected_id) WHERE corrected_id IS NOT NULL;

-- Codes that were no voucher's, in the hour that began at `since`.
CREATE TABLE billing.voucher_attempts (
  tenant_id uuid PRIMARY KEY REFERENCES billing.billing_accounts (tenant_id),
  since     timestamptz NOT NULL,
  failed    integer NOT NULL CHECK (failed >= 0)
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['payments', 'voucher_attempts'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
END $$;
REVOKE UPDATE, DELETE, TRUNCATE ON billing.payments FROM allod_billing;
REVOKE DELETE, TRUNCATE ON billing.voucher_attempts FROM allod_billing;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.payments
  FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

---------------------------------------------------------------------------------------------------------------------
-- The ledger. `wallet` is what the tenant has paid and not used; `payments` what was received from it, negative; `vouchers` what was
-- given to it by vouchers, negative.

ALTER TABLE billing.transfers
  DROP CONSTRAINT transfers_kind_check,
  ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post', 'lease',
    'lease_return', 'lease_post', 'lease_late_post', 'lease_short_post', 'rounding', 'tax', 'credit', 'credit_tax',
    'charge', 'discount', 'top_up', 'redeem', 'refund', 'payment', 'wallet_payment', 'overpayment')),
  ADD CONSTRAINT accounts_of_payments CHECK (CASE kind
    WHEN 'top_up' THEN (debit, credit) = ('payments', 'wallet')
    WHEN 'redeem' THEN (debit, credit) = ('vouchers', 'wallet')
    WHEN 'refund' THEN (debit, credit) = ('wallet', 'payments')
    WHEN 'payment' THEN (debit, credit) = ('payments', 'receivable')
    WHEN 'wallet_payment' THEN (debit, credit) = ('wallet', 'receivable')
    WHEN 'overpayment' THEN (debit, credit) = ('receivable', 'wallet')
    ELSE true END);
ALTER TABLE billing.ledger_accounts ADD CONSTRAINT wallet_has_it CHECK (code <> 'wallet' OR posted >= 0);

ALTER TABLE billing.billing_accounts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.ledger_accounts NO FORCE ROW LEVEL SECURITY;
INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code)
  SELECT a.tenant_id, c.code, a.currency_code
  FROM billing.billing_accounts a, unnest(ARRAY['wallet', 'payments', 'vouchers']) AS c (code);
ALTER TABLE billing.ledger_accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.billing_accounts FORCE ROW LEVEL SECURITY;

-- VOLATILE on purpose: it is asked in statements that take the tenant's lock, and sees what was committed before they had it.
CREATE FUNCTION billing.wallet_balance(p_tenant uuid) RETURNS numeric
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN coalesce((SELECT l.posted FROM billing.ledger_accounts l WHERE l.tenant_id = p_tenant AND l.code = 'wallet'), 0);
END $$;

-- What is still to be paid of an invoice; below zero: a credit note came after it was paid. NULL: there is no such invoice.
CREATE FUNCTION billing.invoice_open(p_tenant uuid, p_invoice text) RETURNS numeric
LANGUAGE sql VOLATILE AS $$
  SELECT i.payable
    - (SELECT coalesce(sum(c.payable), 0) FROM billing.invoices c WHERE c.tenant_id = p_tenant AND c.corrected_id = i.id)
    - (SELECT coalesce(sum(CASE p.kind WHEN 'overpayment' THEN -p.amount ELSE p.amount END), 0)
       FROM billing.payments p WHERE p.tenant_id = p_tenant AND p.invoice_id = i.id)
  FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.id = p_invoice AND i.kind = 'invoice'
$$;

-- The wallet pays what is invoiced and open, what is due first before the rest.
CREATE FUNCTION billing.pay_from_wallet(p_tenant uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  doc record;
  balance numeric := billing.wallet_balance(p_tenant);
BEGIN
  FOR doc IN
    SELECT o.id, o.currency_code, o.open FROM (
      SELECT i.id, i.currency_code, i.due_time, billing.invoice_open(i.tenant_id, i.id) AS open
      FROM billing.invoices i WHERE i.tenant_id = p_tenant AND i.kind = 'invoice') AS o
    WHERE o.open > 0 ORDER BY o.due_time, o.id
  LOOP
    EXIT WHEN balance <= 0;
    INSERT INTO billing.payments (tenant_id, id, kind, amount, currency_code, invoice_id, reference, payload_sha256)
      VALUES (p_tenant, gen_random_uuid(), 'wallet_payment', least(balance, doc.open), doc.currency_code, doc.id, '', '');
    balance := balance - least(balance, doc.open);
  END LOOP;
END $$;

CREATE FUNCTION billing.book_payments() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE paid_in uuid;
BEGIN
  INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time)
    SELECT n.tenant_id, n.id, n.kind, m.debit, m.credit, n.currency_code, n.amount, n.create_time
    FROM added n JOIN (VALUES ('top_up', 'payments', 'wallet'), ('redeem', 'vouchers', 'wallet'), ('refund', 'wallet', 'payments'),
      ('payment', 'payments', 'receivable'), ('wallet_payment', 'wallet', 'receivable'), ('overpayment', 'receivable', 'wallet'))
      AS m (kind, debit, credit) ON m.kind = n.kind;
  FOR paid_in IN SELECT DISTINCT n.tenant_id FROM added n WHERE n.kind IN ('top_up', 'redeem', 'overpayment') LOOP
    PERFORM billing.pay_from_wallet(paid_in);
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER book_payments AFTER INSERT ON billing.payments
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.book_payments();

-- At commit, when the document is whole.
CREATE FUNCTION billing.settle_invoice() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE left_open numeric;
BEGIN
  IF NEW.kind = 'invoice' THEN
    IF billing.wallet_balance(NEW.tenant_id) > 0 THEN PERFORM billing.pay_from_wallet(NEW.tenant_id); END IF;
    RETURN NULL;
  END IF;
  left_open := billing.invoice_open(NEW.tenant_id, NEW.corrected_id);
  IF left_open < 0 THEN
    INSERT INTO billing.payments (tenant_id, id, kind, amount, currency_code, invoice_id, reference, payload_sha256)
      VALUES (NEW.tenant_id, gen_random_uuid(), 'overpayment', -left_open, NEW.currency_code, NEW.corrected_id, '', '');
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settle_invoice AFTER INSERT ON billing.invoices DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION billing.settle_invoice();

---------------------------------------------------------------------------------------------------------------------
-- Vouchers. As the owner, because the app role may not change them; each waits for the row of its voucher to the end of the
-- transaction, so that none is used once too often.

CREATE FUNCTION billing.lock_voucher(p_code_sha256 text) RETURNS SETOF billing.vouchers
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM billing.vouchers v WHERE v.code_sha256 = p_code_sha256 FOR NO KEY UPDATE;
  RETURN QUERY SELECT * FROM billing.vouchers v WHERE v.code_sha256 = p_code_sha256;
END $$;
REVOKE ALL ON FUNCTION billing.lock_voucher(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.lock_voucher(text) TO allod_billing;

CREATE FUNCTION billing.use_voucher() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE billing.vouchers v SET used = v.used + 1
    WHERE v.id = NEW.voucher_id AND v.used < v.uses_max AND v.expire_time > clock_timestamp()
      AND (v.amount, v.currency_code) = (NEW.amount, NEW.currency_code);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'voucher % cannot be redeemed so', NEW.voucher_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER use_voucher BEFORE INSERT ON billing.payments
  FOR EACH ROW WHEN (NEW.voucher_id IS NOT NULL) EXECUTE FUNCTION billing.use_voucher();

-- For the audit: how often a voucher was redeemed, by whoever it was.
CREATE POLICY owner_counts_redemptions ON billing.payments FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION billing.redemptions(p_voucher uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*) FROM billing.payments p WHERE p.voucher_id = p_voucher
$$;
REVOKE ALL ON FUNCTION billing.redemptions(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.redemptions(uuid) TO allod_billing;

-- What is wrong with the payments of a tenant, in numbers: payments without their transfer and the other way round, invoices that
-- were paid beyond what they ask, vouchers of which another number is kept than was redeemed.
CREATE FUNCTION billing.payment_faults(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT (SELECT count(*) FROM
      (SELECT p.id, p.kind, p.amount, p.currency_code FROM billing.payments p WHERE p.tenant_id = p_tenant) AS p
      FULL JOIN (SELECT t.id, t.kind, t.amount, t.currency_code FROM billing.transfers t WHERE t.tenant_id = p_tenant
        AND t.kind IN ('top_up', 'redeem', 'refund', 'payment', 'wallet_payment', 'overpayment')) AS t ON t.id = p.id
      WHERE (p.kind, p.amount, p.currency_code) IS DISTINCT FROM (t.kind, t.amount, t.currency_code))
    + (SELECT count(*) FROM billing.invoices i
       WHERE i.tenant_id = p_tenant AND i.kind = 'invoice' AND billing.invoice_open(i.tenant_id, i.id) < 0)
    + (SELECT count(*) FROM billing.payments p JOIN billing.vouchers v ON v.id = p.voucher_id
       WHERE p.tenant_id = p_tenant AND v.used <> billing.redemptions(v.id))
$$;
