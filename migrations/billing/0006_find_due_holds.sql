-- Whose holds are due, in one look at one index for all tenants. The app role learns which tenants, and nothing else of
-- theirs; it releases the holds tenant by tenant as before.

CREATE INDEX open_reservations_due ON billing.open_reservations (expire_time);
CREATE POLICY owner_finds_due_holds ON billing.open_reservations FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION billing.tenants_with_due_holds(p_now_micros bigint, p_after uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT o.tenant_id FROM billing.open_reservations o
  WHERE o.expire_time <= billing.from_micros(p_now_micros) AND o.tenant_id > p_after ORDER BY 1 LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION billing.tenants_with_due_holds(bigint, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.tenants_with_due_holds(bigint, uuid, integer) TO allod_billing;
