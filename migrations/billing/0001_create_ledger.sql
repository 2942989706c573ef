-- Prices, accounts, the ledger, reservations and usage.
--
-- Amounts are whole numbers of 10^-12 currency units. A tenant's work is serialised by a lock on its billing_accounts row;
-- the constraints and triggers here are the second lock, and hold whatever the application does.

-- Instants travel as microseconds since 1970, so that no driver rounds or shifts them.
CREATE FUNCTION billing.to_micros(t timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT (extract(epoch FROM t) * 1000000)::bigint $$;

CREATE FUNCTION billing.from_micros(micros bigint) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT 'epoch'::timestamptz + micros * interval '1 microsecond' $$;

-- For insert-only tables: the app role has no UPDATE and no DELETE there; this stops the owner's slips too.
CREATE FUNCTION billing.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'billing.% is insert-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

---------------------------------------------------------------------------------------------------------------------
-- Global tables.

CREATE TABLE billing.price_books (
  id          uuid PRIMARY KEY,
  listing     text NOT NULL,
  create_time timestamptz NOT NULL,
  create_xid  xid8 NOT NULL DEFAULT pg_current_xact_id()
);

-- Prices of one token.
CREATE TABLE billing.token_prices (
  price_book_id    uuid NOT NULL REFERENCES billing.price_books,
  currency_code    text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
  variant_id       text NOT NULL,  -- '': every variant without a row of its own
  prompt_price     numeric(38,0) NOT NULL CHECK (prompt_price >= 0),
  completion_price numeric(38,0) NOT NULL CHECK (completion_price >= 0),
  PRIMARY KEY (price_book_id, currency_code, variant_id)
);

-- A book is whole from the start: a price joins it only in the transaction that made the book.
CREATE FUNCTION billing.check_price_joins_new_book() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT create_xid FROM billing.price_books WHERE id = NEW.price_book_id) IS DISTINCT FROM pg_current_xact_id() THEN
    RAISE EXCEPTION 'price book % is immutable', NEW.price_book_id USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_price_joins_new_book BEFORE INSERT ON billing.token_prices
  FOR EACH ROW EXECUTE FUNCTION billing.check_price_joins_new_book();

-- Whose books there are; lets the expirer and the audit go from tenant to tenant.
CREATE TABLE billing.known_tenants (
  tenant_id     uuid PRIMARY KEY,
  name          text NOT NULL UNIQUE,
  currency_code text NOT NULL
);

---------------------------------------------------------------------------------------------------------------------
-- Tables of one tenant each.

CREATE TABLE billing.billing_accounts (
  tenant_id     uuid PRIMARY KEY,
  tenant_name   text NOT NULL,
  currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
  credit_limit  numeric(38,0) NOT NULL CHECK (credit_limit >= 0),
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  UNIQUE (tenant_id, currency_code)
);

-- Balances, kept by the trigger on transfers and by nothing else.
CREATE TABLE billing.ledger_accounts (
  tenant_id     uuid NOT NULL,
  code          text NOT NULL,
  currency_code text NOT NULL,
  posted        numeric(38,0) NOT NULL DEFAULT 0,                    -- credits less debits
  held          numeric(38,0) NOT NULL DEFAULT 0 CHECK (held >= 0),                         -- holds that would debit it
  PRIMARY KEY (tenant_id, code),
  UNIQUE (tenant_id, code, currency_code),
  FOREIGN KEY (tenant_id, currency_code) REFERENCES billing.billing_accounts (tenant_id, currency_code)
) WITH (fillfactor = 50);

-- The ledger. Insert-only; one debit and one credit each, so every currency sums to zero.
--   pending    a hold; its id is the request id
--   post       turns the hold pending_id into a debt of `amount`, not above it, and releases the rest
--   void       releases the hold pending_id: nothing was to pay
--   expire     releases the hold pending_id: its time was over
--   late_post  posts `amount` for the expired hold expired_id
CREATE TABLE billing.transfers (
  tenant_id     uuid NOT NULL,
  id            uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('pending', 'post', 'void', 'expire', 'late_post')),
  pending_id    uuid,
  expired_id    uuid,
  debit         text NOT NULL,
  credit        text NOT NULL,
  currency_code text NOT NULL,
  amount        numeric(38,0) NOT NULL CHECK (amount >= 0),
  create_time   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT one_terminal_per_hold UNIQUE (tenant_id, pending_id),
  CHECK (debit <> credit),
  CHECK ((kind IN ('post', 'void', 'expire')) = (pending_id IS NOT NULL)),
  CHECK ((kind = 'late_post') = (expired_id IS NOT NULL)),
  FOREIGN KEY (tenant_id, debit, currency_code) REFERENCES billing.ledger_accounts (tenant_id, code, currency_code),
  FOREIGN KEY (tenant_id, credit, currency_code) REFERENCES billing.ledger_accounts (tenant_id, code, currency_code),
  FOREIGN KEY (tenant_id, pending_id) REFERENCES billing.transfers (tenant_id, id),
  FOREIGN KEY (tenant_id, expired_id) REFERENCES billing.transfers (tenant_id, id)
);
CREATE UNIQUE INDEX one_late_post_per_hold ON billing.transfers (tenant_id, expired_id) WHERE expired_id IS NOT NULL;

-- Checks a transfer against the hold that it follows, then moves the balances. Runs as the owner, because the app role may
-- not touch balances; it works on the tenant of the new row only, which row-level security has checked.
CREATE FUNCTION billing.apply_transfer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  hold        billing.transfers;
  posted_move numeric(38,0) := 0;
  held_move   numeric(38,0) := 0;
BEGIN
  IF NEW.kind = 'pending' THEN
    held_move := NEW.amount;
  ELSE
    SELECT * INTO hold FROM billing.transfers t
      WHERE t.tenant_id = NEW.tenant_id AND t.id = COALESCE(NEW.pending_id, NEW.expired_id);
    IF hold.kind IS DISTINCT FROM 'pending' THEN
      RAISE EXCEPTION 'transfer % follows % which is no hold', NEW.id, hold.id USING ERRCODE = 'check_violation';
    END IF;
    IF (hold.debit, hold.credit, hold.currency_code) IS DISTINCT FROM (NEW.debit, NEW.credit, NEW.currency_code) THEN
      RAISE EXCEPTION 'transfer % has other accounts than its hold', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.amount > hold.amount OR (NEW.kind IN ('void', 'expire') AND NEW.amount <> hold.amount) THEN
      RAISE EXCEPTION 'transfer %: % does not fit its hold of %', NEW.id, NEW.amount, hold.amount
        USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'late_post' AND NOT EXISTS (
        SELECT FROM billing.transfers t
        WHERE t.tenant_id = NEW.tenant_id AND t.pending_id = hold.id AND t.kind = 'expire') THEN
      RAISE EXCEPTION 'transfer %: the hold % has not expired', NEW.id, hold.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind IN ('post', 'late_post') THEN posted_move := NEW.amount; END IF;
    IF NEW.kind <> 'late_post' THEN held_move := -hold.amount; END IF;
  END IF;
  UPDATE billing.ledger_accounts a SET posted = a.posted - posted_move, held = a.held + held_move
    WHERE a.tenant_id = NEW.tenant_id AND a.code = NEW.debit;
  IF posted_move <> 0 THEN
    UPDATE billing.ledger_accounts a SET posted = a.posted + posted_move
      WHERE a.tenant_id = NEW.tenant_id AND a.code = NEW.credit;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER apply_transfer AFTER INSERT ON billing.transfers
  FOR EACH ROW EXECUTE FUNCTION billing.apply_transfer();

-- What a request reserved, with the prices that it pinned.
CREATE TABLE billing.reservations (
  tenant_id             uuid NOT NULL,
  request_id            uuid NOT NULL,
  instance              text NOT NULL,
  variant               text NOT NULL,
  price_book_id         uuid NOT NULL REFERENCES billing.price_books,
  api_key               text NOT NULL,
  prompt_tokens_max     bigint NOT NULL CHECK (prompt_tokens_max >= 0),
  completion_tokens_max bigint NOT NULL CHECK (completion_tokens_max >= 0),
  currency_code         text NOT NULL,
  prompt_price          numeric(38,0) NOT NULL,
  completion_price      numeric(38,0) NOT NULL,
  hold                  numeric(38,0) NOT NULL,
  expire_time           timestamptz NOT NULL,
  create_time           timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, request_id) REFERENCES billing.transfers (tenant_id, id),
  CHECK (hold = prompt_tokens_max * prompt_price + completion_tokens_max * completion_price)
);

-- Those without a terminal transfer: small, so that the expirer reads little.
CREATE TABLE billing.open_reservations (
  tenant_id   uuid NOT NULL,
  request_id  uuid NOT NULL,
  expire_time timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, request_id) REFERENCES billing.reservations (tenant_id, request_id)
);
CREATE INDEX open_reservations_by_expiry ON billing.open_reservations (tenant_id, expire_time);

-- One row per request that ended. The key is a UUIDv7, so it is also the order and the range of time.
CREATE TABLE billing.usage_records (
  tenant_id         uuid NOT NULL,
  request_id        uuid NOT NULL,
  instance          text NOT NULL,
  variant           text NOT NULL,
  price_book_id     uuid NOT NULL,
  api_key           text NOT NULL,
  outcome           text NOT NULL CHECK (outcome IN ('completed', 'client_cancelled', 'fault', 'gateway_lost')),
  prompt_tokens     bigint NOT NULL CHECK (prompt_tokens >= 0),
  completion_tokens bigint NOT NULL CHECK (completion_tokens >= 0),
  currency_code     text NOT NULL,
  prompt_price      numeric(38,0) NOT NULL,
  completion_price  numeric(38,0) NOT NULL,
  billed            boolean NOT NULL,
  cost              numeric(38,0) NOT NULL,
  admit_time        timestamptz NOT NULL,
  settle_time       timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, request_id) REFERENCES billing.reservations (tenant_id, request_id),
  CHECK (cost = CASE WHEN billed THEN prompt_tokens * prompt_price + completion_tokens * completion_price ELSE 0 END),
  CHECK (NOT (billed AND outcome = 'fault'))
);
CREATE INDEX usage_records_by_instance ON billing.usage_records (tenant_id, instance, request_id);

-- Events for other systems, written with what they tell of; a relay reads them in order of id (UUIDv7).
CREATE TABLE billing.outbox (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  type        text NOT NULL,
  subject     text NOT NULL,
  data        jsonb NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- Mutations that carried a request_id of their own.
CREATE TABLE billing.request_ids (
  tenant_id      uuid NOT NULL,
  request_id     uuid NOT NULL,
  payload_sha256 text NOT NULL,
  create_time    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, request_id)
);

---------------------------------------------------------------------------------------------------------------------
-- Tenants see themselves only, and history is not rewritten.

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['billing_accounts', 'ledger_accounts', 'transfers', 'reservations', 'open_reservations',
                           'usage_records', 'outbox', 'request_ids'] LOOP
    EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE billing.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_rows ON billing.%I
                      USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
                      WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)$p$, t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['price_books', 'token_prices', 'known_tenants', 'transfers', 'reservations', 'usage_records',
                           'outbox', 'request_ids'] LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON billing.%I FROM allod_billing', t);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', t);
  END LOOP;
END $$;

-- The limit is the only thing about an account that changes; balances are moved by apply_transfer alone.
REVOKE UPDATE, DELETE, TRUNCATE ON billing.billing_accounts, billing.ledger_accounts FROM allod_billing;
REVOKE UPDATE, TRUNCATE ON billing.open_reservations FROM allod_billing;
GRANT UPDATE (credit_limit, update_time) ON billing.billing_accounts TO allod_billing;

---------------------------------------------------------------------------------------------------------------------
-- The reads of the two hot transactions: lock the tenant's account, then read with a snapshot taken after the lock was
-- got. (One statement that did both would read what it joins from before the wait.)

CREATE FUNCTION billing.lock_for_reserve(p_tenant uuid, p_request uuid, p_price_book uuid, p_variant text)
RETURNS TABLE (account billing.billing_accounts, receivable billing.ledger_accounts, price_book billing.price_books,
               price billing.token_prices, reservation billing.reservations)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT a, l, b, p.price, r
    FROM (SELECT p_tenant AS tenant_id) AS t
    LEFT JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id
    LEFT JOIN billing.ledger_accounts l ON l.tenant_id = t.tenant_id AND l.code = 'receivable'
    LEFT JOIN billing.price_books b ON b.id = p_price_book
    LEFT JOIN LATERAL (
      SELECT x AS price FROM billing.token_prices x
      WHERE x.price_book_id = p_price_book AND x.currency_code = a.currency_code AND x.variant_id IN (p_variant, '')
      ORDER BY x.variant_id DESC LIMIT 1) AS p ON true
    LEFT JOIN billing.reservations r ON r.tenant_id = t.tenant_id AND r.request_id = p_request;
END $$;

CREATE FUNCTION billing.lock_for_settle(p_tenant uuid, p_request uuid)
RETURNS TABLE (reservation billing.reservations, terminal_kind text, usage_record billing.usage_records)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM billing.billing_accounts a WHERE a.tenant_id = p_tenant FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT r, t.kind, u
    FROM (SELECT p_tenant AS tenant_id) AS k
    LEFT JOIN billing.reservations r ON r.tenant_id = k.tenant_id AND r.request_id = p_request
    LEFT JOIN billing.transfers t ON t.tenant_id = k.tenant_id AND t.pending_id = p_request
    LEFT JOIN billing.usage_records u ON u.tenant_id = k.tenant_id AND u.request_id = p_request;
END $$;
