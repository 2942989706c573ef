-- What a month's draft invoice shows, added up as usage is recorded, so that reading it does not depend on how many
-- requests there were.

CREATE TABLE billing.usage_totals (
  tenant_id         uuid NOT NULL REFERENCES billing.billing_accounts (tenant_id),
  month             date NOT NULL,  -- its first day; of the admission, in UTC
  instance          text NOT NULL,
  variant           text NOT NULL,
  price_book_id     uuid NOT NULL,
  isolation_class   text NOT NULL,
  prompt_price      numeric(38,0) NOT NULL,  -- both follow from book, variant and class, because books never change
  completion_price  numeric(38,0) NOT NULL,
  request_count     bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,  -- billed ones
  completion_tokens bigint NOT NULL,
  amount            numeric(38,0) NOT NULL,
  PRIMARY KEY (tenant_id, month, instance, variant, price_book_id, isolation_class),
  CHECK (amount = prompt_tokens * prompt_price + completion_tokens * completion_price)
);

ALTER TABLE billing.usage_records NO FORCE ROW LEVEL SECURITY;
INSERT INTO billing.usage_totals
  SELECT u.tenant_id, date_trunc('month', u.admit_time AT TIME ZONE 'UTC')::date, u.instance, u.variant, u.price_book_id,
    u.isolation_class, u.prompt_price, u.completion_price, count(*), sum(u.prompt_tokens - u.excess_prompt_tokens),
    sum(u.completion_tokens - u.excess_completion_tokens), sum(u.cost)
  FROM billing.usage_records u WHERE u.billed
  GROUP BY u.tenant_id, 2, u.instance, u.variant, u.price_book_id, u.isolation_class, u.prompt_price, u.completion_price;
ALTER TABLE billing.usage_records FORCE ROW LEVEL SECURITY;

ALTER TABLE billing.usage_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.usage_totals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON billing.usage_totals
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
-- Written by the trigger alone.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON billing.usage_totals FROM allod_billing;

-- Runs as the owner, like apply_transfer; it works on the tenant of the new row only.
CREATE FUNCTION billing.add_to_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT NEW.billed THEN RETURN NULL; END IF;
  INSERT INTO billing.usage_totals AS t
    VALUES (NEW.tenant_id, date_trunc('month', NEW.admit_time AT TIME ZONE 'UTC')::date, NEW.instance, NEW.variant,
      NEW.price_book_id, NEW.isolation_class, NEW.prompt_price, NEW.completion_price, 1,
      NEW.prompt_tokens - NEW.excess_prompt_tokens, NEW.completion_tokens - NEW.excess_completion_tokens, NEW.cost)
    ON CONFLICT (tenant_id, month, instance, variant, price_book_id, isolation_class) DO UPDATE SET
      request_count = t.request_count + 1, prompt_tokens = t.prompt_tokens + EXCLUDED.prompt_tokens,
      completion_tokens = t.completion_tokens + EXCLUDED.completion_tokens, amount = t.amount + EXCLUDED.amount;
  RETURN NULL;
END $$;
CREATE TRIGGER add_to_totals AFTER INSERT ON billing.usage_records
  FOR EACH ROW EXECUTE FUNCTION billing.add_to_totals();
